# Makes the wrappers of calls.table; the form of the table is described there. What comes out is C in
# the form of the rest. mawk, gawk and busybox's do.
BEGIN {
    print "/* Made from src/wrap/calls.table by generate.awk. */"
    print "#include \"wrap/wrap.h\"\n"
}
/^#/ || /^[ \t]*$/ { next }
/^[A-Z]/ {
    flush_call()
    names = substr($0, 1, index($0, "(") - 1)
    parameters = substr($0, index($0, "(") + 1)
    sub(/\)[ \t]*$/, "", parameters)
    n_specs = 0
    next
}
{ specs[++n_specs] = $0 }
END { flush_call() }

function flush_call(    list, i, n)
{
    n = split(names, list, "|")
    for (i = 1; i <= n; i++) {
        wrapper(list[i])
    }
    names = ""
}

# Names of the parameters, in order, into argument[]; kind[] is what stands before the name.
function parse(text,    list, i, name)
{
    n_arguments = split(text, list, ", ")
    split("", kind)
    for (i = 1; i <= n_arguments; i++) {
        name = list[i]
        sub(/\[\]$/, "", name)
        sub(/^.*[ *]/, "", name)
        argument[i] = name
        kind[name] = list[i]
    }
}

function call(private,    i, text)
{
    for (i = 1; i <= n_arguments; i++) {
        text = text (i > 1 ? ", " : "") \
               (private && (argument[i] in stand_in) ? argument[i] "_" : argument[i])
    }
    return text
}

# Statements go to body; what may be shared to `test`.
function declare(name, type)
{
    if (!(name in stand_in)) {
        stand_in[name] = 1
        body = body "    " type name "_ = " ((type ~ /^const/) ? "" : "(void *)(uintptr_t)") name ";\n"
    }
}

function may(name, check)
{
    if (!(name in tested)) {
        tested[name] = 1
        test = test (test == "" ? "" : " && ") "!" check "(" name ")"
    }
}

function assign(name, value, condition)
{
    if (condition == "") {
        body = body "    " name "_ = " value ";\n"
    } else {
        body = body "    if (" condition ") {\n        " name "_ = " value ";\n    }\n"
    }
}

function copy_array(name, n, condition,    each)
{
    each = kind[name]
    sub(/ [a-z]*\[\]$/, "", each)
    may(name, "hth_wrap_shared")
    declare(name, each " *")
    sub(/^const /, "", each)
    assign(name, "hth_wrap_array(wrap, " name ", " n ", sizeof(" each "))", condition)
}

# The flags of a kind of buffer.
function how(word)
{
    if (word ~ /^inout/) return "HTH_IN | HTH_OUT"
    if (word ~ /^in/) return "HTH_IN"
    if (word == "replace") return "HTH_IN | HTH_OUT | HTH_COUNTED"
    if (word == "counted") return "HTH_OUT | HTH_COUNTED"
    return "HTH_OUT" (("sendbuf" in kind) ? " | (sendbuf == MPI_IN_PLACE ? HTH_IN : 0u)" : "")
}

function buffer(f, condition,    name, blocks)
{
    name = f[2]
    may(name, "hth_wrap_may")
    if (f[1] ~ /[vw]$/) {
        copy_array(f[3], f[6], condition)
        copy_array(f[4], f[6], condition)
        if (f[1] ~ /w$/) {
            copy_array(f[5], f[6], condition)
        }
        declare(name, "void *")
        blocks = ".counts = " f[3] "_, ." ((kind[f[4]] ~ /MPI_Aint/) ? "places" : "displs") " = " \
                 f[4] "_, " ((f[1] ~ /w$/) ? ".types = " f[5] "_" : ".type = " f[5]) ", .n = " f[6]
        assign(name, "hth_wrap_blocks(wrap, " name ", (struct hth_blocks){" blocks "}, " how(f[1]) ")",
               condition)
    } else {
        declare(name, "void *")
        assign(name, "hth_wrap_block(wrap, " name ", " f[3] ", " f[4] ", " how(f[1]) ")", condition)
    }
}

function wrapper(name,    f, n, i, condition, request, at)
{
    request = name ~ /^I|^R(put|get|accumulate)|^File_i|_init$/
    parse(parameters (request ? ", MPI_Request *request" : ""))
    split("", stand_in); split("", tested)
    body = test = ""
    print "int MPI_" name "(" parameters (request ? ", MPI_Request *request" : "") ")\n{"
    if (specs[1] ~ /complete/) {
        split(specs[1], f)
        print "    uint64_t until = hth_rma_begin();"
        print "    return hth_rma_end(until, PMPI_" name "(" call(0) "), win, " f[2] ");\n}\n"
        return
    }
    if (specs[1] ~ /split_end/) {
        print "    struct hth_wrap *wrap = hth_split_take(fh);"
        print "    MPI_Status own, *status_ = status == MPI_STATUS_IGNORE ? &own : status;"
        print "    if (wrap == NULL) {\n        return PMPI_" name "(fh, buf, status);\n    }"
        print "    int rc = PMPI_" name "(fh, wrap->file_buffer, status_);"
        print "    return hth_wrap_end(wrap, rc, status_);\n}\n"
        return
    }
    for (i = 1; i <= n_specs; i++) {
        n = split(specs[i], f)
        condition = ""
        if (f[n - 1] == "if") {
            condition = f[n]
        }
        if (f[1] == "array") {
            copy_array(f[2], f[3], condition)
        } else {
            buffer(f, condition)
        }
    }
    if ("status" in kind) {
        body = body "    MPI_Status own, *status_ = status == MPI_STATUS_IGNORE ? &own : status;\n"
        stand_in["status"] = 1
    }
    print "    if (" test ") {\n        return PMPI_" name "(" call(0) ");\n    }"
    print "    struct hth_wrap *wrap = hth_wrap_begin(\"MPI_" name "\", " ((name ~ /_init$/) ? "true" : "false") ");"
    printf "%s", body
    at = "comm(wrap, " (("comm" in kind) ? "comm" : "MPI_COMM_WORLD") ")"
    if ("fh" in kind) at = "file(wrap, fh)"
    if ("win" in kind) at = "win(wrap, win)"
    print "    int rc = wrap->failed ? hth_wrap_refuse_" at
    print "                          : PMPI_" name "(" call(1) ");"
    if ("win" in kind) {
        print "    return hth_wrap_pend_rma(wrap, rc, win, target_rank, " (request ? "request" : "NULL") ");"
    } else if (request) {
        print "    return hth_wrap_pend(wrap, rc, request);"
    } else if (name ~ /_begin$/) {
        print "    return hth_wrap_pend_split(wrap, rc, fh, buf_);"
    } else {
        print "    return hth_wrap_end(wrap, rc, " (("status" in kind) ? "status_" : "NULL") ");"
    }
    print "}\n"
}
