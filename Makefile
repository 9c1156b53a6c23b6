# Hearth. `make help` lists the targets. Quiet unless V=1; CC=clang for clang; CFLAGS and LDFLAGS are
# the user's, added to ours.
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

CC      = gcc
MPICC   ?= mpicc
# make MPICC=mpicc.mpich: with MPICH, in a folder of its own.
ifneq ($(findstring mpich,$(MPICC)),)
MPIRUN  ?= mpirun.mpich
# By messages a litmus test takes several times as long.
export HEARTH_LITMUS_RUNS ?= 500
B       ?= build/mpich
else
MPIRUN  ?= mpirun --oversubscribe
B       ?= build
endif
PREFIX  ?= /usr/local
CFLAGS  ?= -O2 -g
VERSION := $(shell awk '/define HEARTH_VERSION_(MAJOR|MINOR|PATCH)/ {v = v s $$3; s = "."} END {print v}' include/hearth.h)
MAJOR   := $(firstword $(subst ., ,$(VERSION)))

# The compiler behind mpicc, for Open MPI and for MPICH.
export OMPI_CC = $(CC)
export MPICH_CC = $(CC)
# Open MPI refuses to run as root otherwise, which is what containers do.
ifeq ($(shell id -u),0)
export OMPI_ALLOW_RUN_AS_ROOT = 1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM = 1
endif
export MPIRUN MPICC

# gcc takes MPICH's MPI_STATUSES_IGNORE for an array of no elements.
QUIRK   = $(if $(findstring mpich,$(MPICC)),$(if $(findstring clang,$(CC)),,-Wno-stringop-overflow))
WARN    = -Wall -Wextra -Wshadow -Werror $(QUIRK)
OURS    = -std=gnu11 -D_GNU_SOURCE $(WARN) -fPIC -MMD -MP -Iinclude -Isrc $(CFLAGS)
LIBS    = -lhwloc -lpthread

ifeq ($(V),1)
Q =
say =
else
Q = @
say = @echo "  $(1)  $(2)";
endif

# ---- what there is ------------------------------------------------------------------------------

PROTOCOL_C := $(wildcard src/protocol/*.c)
LIB_C      := $(wildcard src/*.c src/net/*.c src/vm/*.c) $(PROTOCOL_C)
LIB_O      := $(LIB_C:%.c=$(B)/%.o)
# Calls that are handed shared buffers: a library beside, see src/wrap/wrap.h.
WRAP_C     := $(wildcard src/wrap/*.c)
WRAP_O     := $(WRAP_C:%.c=$(B)/%.o) $(B)/wrap/calls.o
WRAP_TESTS := $(patsubst tests/wrap/%.c,$(B)/tests/wrap/%,$(wildcard tests/wrap/test_*.c))
LITMUS_O   := $(patsubst %.c,$(B)/%.o,$(wildcard tests/litmus/*.c)) $(B)/tests/mpi/watchdog.o
# The simulator: the protocols as they ship, and a port of its own.
SIM_O      := $(patsubst %.c,$(B)/sim/%.o,$(wildcard tests/sim/*.c)) \
              $(patsubst %.c,$(B)/%.o,$(PROTOCOL_C) src/homes.c tests/litmus/table.c \
              tests/litmus/judge.c)
# The parts that need no world: the unit tests have a small one of their own.
PURE_O     := $(patsubst %.c,$(B)/%.o,$(wildcard src/heap_*.c src/vm/*.c) src/homes.c src/config.c src/placement.c src/log.c src/pool.c \
              $(patsubst %,src/protocol/%.c,ahead cache_count claim diff diff_mask directory heat stale page))
UNIT_O     := $(patsubst %.c,$(B)/%.o,$(wildcard tests/unit/*.c))
MPI_TESTS  := $(patsubst tests/mpi/%.c,$(B)/tests/mpi/%,$(wildcard tests/mpi/test_*.c))
HARNESS_O  := $(patsubst %.c,$(B)/%.o,$(filter-out tests/mpi/test_%.c,$(wildcard tests/mpi/*.c)))
BENCHES    := $(patsubst bench/%.c,$(B)/bench/%,$(wildcard bench/*.c))
# OpenSHMEM is measured beside Hearth where Open MPI's compiler for it is.
SHMEM      := $(if $(and $(shell command -v oshcc),$(findstring mpicc,$(filter mpicc,$(MPICC)))),$(B)/bench/shmem_patterns)
INFO       := $(B)/hearth-info
# Each app that shares memory, again as a threaded program; and those in plain MPI.
SHARED     := cg nbody sort tsp pagerank paint
APPS       := $(patsubst %,$(B)/apps/%,heat heat_mpi make_picture $(SHARED) cg_mpi sort_mpi \
              $(SHARED:%=%_threads))
ALL_C      := $(LIB_C) $(WRAP_C) $(wildcard src/info/*.c tests/*/*.c apps/*.c bench/*.c bench/*/*.c)
ALL_SRC    := $(ALL_C) $(wildcard include/*.h src/*.h src/*/*.h tests/*/*.h apps/*.h bench/*.h)

.PHONY: all help deps demo check lint asan soak bench model format clean install test-unit test-mpi test-wrap test-variants test-hosts \
        test-litmus test-apps tsan table test-info test-install test-parmacs test-programs test-ends sim test-sim mutants models FORCE
all: $(B)/libhearth.a $(B)/libhearth.so $(B)/libhearth_wrap.a $(B)/libhearth_wrap.so $(INFO) apps bench-programs
help:
	@echo "make           the library, apps and benchmarks"
	@echo "make demo      install what is missing, build, show heat flow under both protocols"
	@echo "make check     install what is missing, build, run all tests"
	@echo "make deps      install what is missing (apt; elsewhere: name it and stop)"
	@echo "make sim       search for a schedule that breaks a protocol (SEED= STEPS= PES= replays)"
	@echo "make mutants   does the simulator find what it must?  make models: the model checker"
	@echo "make bench     measure and draw (BENCH=\"miss sharing\": those); make model: what it costs with 4,096 PEs"
	@echo "make soak SECONDS=600: random tests for that long, large models"
	@echo "make test-wrap MPI and system calls on shared buffers (test-unit, test-mpi, ...: one part of check)"
	@echo "make lint      format, undefined symbols of the protocols, sizes; make format mends"
	@echo "make table     the apps under each protocol, in MPI and on threads: a table (10 minutes)"
	@echo "make tsan      the apps as threaded programs and the tests of threads, under thread sanitizer"
	@echo "make asan      unit tests under address and undefined-behaviour sanitizers"
	@echo "make install   PREFIX=$(PREFIX)"

# ---- the library ---------------------------------------------------------------------------------

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(MPICC) $(OURS) -c $< -o $@

# Everything is built anew when compiler or flags change.
$(B)/flags: FORCE
	@mkdir -p $(B)
	@echo '$(MPICC) $(CC) $(OURS)' | cmp -s - $@ || echo '$(MPICC) $(CC) $(OURS)' > $@

# One object in which only hearth_* is global: the static library exports no more than the shared.
$(B)/libhearth.o: $(LIB_O)
	$(call say,LD,$@)
	$(Q)ld -r -o $@ $^ && objcopy -w --keep-global-symbol='hearth_*' $@
$(B)/libhearth.a: $(B)/libhearth.o
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^
$(B)/libhearth.so.$(VERSION): $(LIB_O) src/hearth.map
	$(call say,LD,$@)
	$(Q)$(MPICC) $(CFLAGS) -shared -Wl,-soname,libhearth.so.$(MAJOR) \
	    -Wl,--version-script=src/hearth.map -o $@ $(LIB_O) $(LDFLAGS) $(LIBS)
$(B)/libhearth.so: $(B)/libhearth.so.$(VERSION)
	$(Q)ln -sf $(notdir $<) $(B)/libhearth.so.$(MAJOR) && ln -sf $(notdir $<) $@

# The wrappers: one object, so that what begins a request and what completes it come together. It
# finds libhearth in the program, whichever of the two the program has.
$(B)/wrap/calls.c: src/wrap/generate.awk src/wrap/calls.table
	@mkdir -p $(@D)
	$(call say,AWK,$@)
	$(Q)awk -f $^ > $@
$(B)/wrap/calls.o: $(B)/wrap/calls.c $(B)/flags
	$(call say,CC,$<)
	$(Q)$(MPICC) $(OURS) -c $< -o $@
$(B)/libhearth_wrap.o: $(WRAP_O)
	$(call say,LD,$@)
	$(Q)ld -r -o $@ $^ && objcopy -w --localize-symbol='hth_*' $@
$(B)/libhearth_wrap.a: $(B)/libhearth_wrap.o
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^
$(B)/libhearth_wrap.so.$(VERSION): $(WRAP_O) src/wrap/wrap.map
	$(call say,LD,$@)
	$(Q)$(MPICC) $(CFLAGS) -shared -Wl,-soname,libhearth_wrap.so.$(MAJOR) \
	    -Wl,--version-script=src/wrap/wrap.map -o $@ $(WRAP_O) $(LDFLAGS) -ldl
$(B)/libhearth_wrap.so: $(B)/libhearth_wrap.so.$(VERSION)
	$(Q)ln -sf $(notdir $<) $(B)/libhearth_wrap.so.$(MAJOR) && ln -sf $(notdir $<) $@

# ---- programs ------------------------------------------------------------------------------------

.PHONY: apps bench-programs
apps: $(APPS)
bench-programs: $(BENCHES) $(SHMEM)

$(B)/apps/heat: $(B)/apps/heat.o $(B)/apps/heat_common.o $(B)/apps/heat_picture.o $(B)/libhearth.a
$(B)/apps/heat_mpi: $(B)/apps/heat_mpi.o $(B)/apps/heat_common.o $(B)/apps/heat_picture.o
$(B)/apps/make_picture: $(B)/apps/make_picture.o
app_o = $(patsubst %,$(B)/apps/%.o,$(1))
APP_O       := $(call app_o,app app_run)
cg_O        := $(call app_o,cg cg_common cg_matrix cg_read)
sort_O      := $(call app_o,sort sort_common)
tsp_O       := $(call app_o,tsp tsp_common tsp_read)
nbody_O     := $(call app_o,nbody nbody_tree)
pagerank_O  := $(call app_o,pagerank graph)
paint_O     := $(call app_o,paint)
$(B)/apps/cg_mpi: $(call app_o,cg_mpi cg_common cg_matrix cg_read app)
$(B)/apps/sort_mpi: $(call app_o,sort_mpi sort_common app)
$(foreach app,$(SHARED),$(eval $(B)/apps/$(app): $$($(app)_O) $$(APP_O) $$(call app_o,app_sum) $$(B)/libhearth.a))
# With the thread's own main in place of the app's.
$(foreach app,$(SHARED),$(eval $(B)/apps/$(app)_threads: $$(patsubst %/$(app).o,%/$(app)_main.o,$$($(app)_O)) \
    $$(APP_O) $$(call app_o,on_threads)))
$(B)/apps/%_main.o: $(B)/apps/%.o
	$(call say,OBJCOPY,$@)
	$(Q)objcopy --redefine-sym main=app_main $< $@
$(APPS):
	$(call say,LD,$@)
	$(Q)$(MPICC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(LIBS) -lpng -lm

# From the objects: it looks behind the API.
$(INFO): $(B)/src/info/hearth_info.o $(LIB_O)
	$(call say,LD,$@)
	$(Q)$(MPICC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(LIBS)

# From the objects: it asks for the pager, and makes a small one of its own.
$(B)/bench/miss $(B)/bench/stream: $(B)/bench/%: $(B)/bench/%.o $(LIB_O)
$(B)/bench/wrap: $(B)/bench/wrap.o $(B)/libhearth_wrap.a $(B)/libhearth.a
$(filter-out $(B)/bench/miss $(B)/bench/stream $(B)/bench/wrap,$(BENCHES)): $(B)/bench/%: $(B)/bench/%.o $(B)/libhearth.a
$(BENCHES):
	$(call say,LD,$@)
	$(Q)$(MPICC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(LIBS)

$(B)/bench/shmem_patterns: bench/openshmem/shmem_patterns.c bench/bench.h $(B)/flags
	@mkdir -p $(@D)
	$(call say,OSHCC,$@)
	$(Q)OSHMEM_CC=$(CC) OMPI_CC=$(CC) oshcc -std=gnu11 -D_GNU_SOURCE $(WARN) $(CFLAGS) -o $@ $<

# Threads of OpenMP, where the compiler has it.
OPENMP := $(shell echo 'int main(void) { return 0; }' | $(CC) -fopenmp -x c - -o /dev/null 2>/dev/null && echo -fopenmp)
$(B)/tests/mpi/test_threads.o: private OURS += $(OPENMP)
$(B)/tests/mpi/test_threads: LIBS += $(OPENMP)
$(MPI_TESTS): $(B)/tests/mpi/%: $(B)/tests/mpi/%.o $(HARNESS_O) $(B)/libhearth.a
	$(call say,LD,$@)
	$(Q)$(MPICC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(LIBS) -lcunit

$(B)/tests/wrap/%.o: private OURS += -Itests/mpi
$(WRAP_TESTS): $(B)/tests/wrap/%: $(B)/tests/wrap/%.o $(B)/tests/wrap/area.o $(HARNESS_O) $(B)/libhearth_wrap.a $(B)/libhearth.a
	$(call say,LD,$@)
	$(Q)$(MPICC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(LIBS) -lcunit -ldl

$(B)/tests/wrap/bare: $(B)/tests/wrap/bare.o $(B)/libhearth.a
	$(call say,LD,$@)
	$(Q)$(MPICC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(LIBS)

$(B)/tests/unit/unit: $(UNIT_O) $(PURE_O)
	$(call say,LD,$@)
	$(Q)$(MPICC) $(CFLAGS) -o $@ $^ $(LDFLAGS) -lcunit -lpthread

-include $(ALL_C:%.c=$(B)/%.d) $(B)/wrap/calls.d $(SIM_O:%.o=%.d)

$(B)/tests/litmus/litmus: $(LITMUS_O) $(B)/libhearth.a
	$(call say,LD,$@)
	$(Q)$(MPICC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(LIBS)

$(B)/sim/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(MPICC) $(OURS) -Itests/sim -c $< -o $@
$(B)/tests/sim/sim: $(SIM_O)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(MPICC) $(CFLAGS) -o $@ $^ $(LDFLAGS) -lm

# ---- doing ----------------------------------------------------------------------------------------

deps:
	$(Q).ci/deps.sh

# After deps, in a make of its own: what was installed changes what can be built.
demo: deps
	$(Q)$(MAKE) --no-print-directory apps
	$(Q)sh apps/demo.sh $(B)

check: deps
	$(Q)$(MAKE) --no-print-directory all lint test-programs
	$(Q)sh .ci/check.sh $(B)

test-programs: $(B)/tests/unit/unit $(B)/tests/sim/sim $(B)/tests/litmus/litmus $(MPI_TESTS) $(WRAP_TESTS) \
    $(B)/tests/wrap/bare

test-unit: $(B)/tests/unit/unit
	$(call say,RUN,$<)
	$(Q)$<
test-mpi: $(MPI_TESTS)
	$(Q)sh tests/mpi/run.sh $(B)
test-ends: $(MPI_TESTS)
	$(Q)sh tests/mpi/run.sh $(B) test_faults test_hang
test-wrap: $(WRAP_TESTS) $(B)/tests/wrap/bare
	$(Q)sh tests/wrap/run.sh $(B)
test-hosts: $(MPI_TESTS) $(B)/apps/heat
	$(Q)sh tests/hosts/run.sh $(B)
test-variants: $(MPI_TESTS) $(INFO)
	$(Q)VARIANTS=some sh tests/mpi/run_variants.sh $(B)
test-litmus: $(B)/tests/litmus/litmus
	$(Q)sh tests/litmus/run.sh $(B)
test-apps: $(APPS)
	$(Q)sh tests/apps.sh $(B)
test-info: $(INFO)
	$(Q)sh tests/info.sh $(B)
test-install: all
	$(Q)sh tests/install.sh $(B)

test-parmacs: all
	$(Q)sh tests/parmacs/run.sh $(B)

asan:
	$(Q)$(MAKE) --no-print-directory B=$(B)/asan test-unit \
	    CFLAGS='-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer'

# The apps as threaded programs: a data race of theirs is one under Hearth as well.
tsan:
	$(Q)$(MAKE) --no-print-directory B=$(B)/tsan CFLAGS='-O1 -g -fsanitize=thread' \
	    OPENMP= $(SHARED:%=$(B)/tsan/apps/%_threads) $(B)/tsan/tests/mpi/test_threads
	$(Q)sh tests/apps_tsan.sh $(B)/tsan
	$(Q)timeout 300 $(MPIRUN) -np 1 $(B)/tsan/tests/mpi/test_threads

# PES="1 2" ROUNDS=3 APPS="cg sort" make table: less of it.
table: apps
	$(Q)sh apps/table.sh $(B) $(PES)

# make sim SEED=7 STEPS=5000 PES=3 replays a seed; with LITMUS=MP/one-page/none/update one of that
# test. Without SEED it searches for SIM_SECONDS, in the way that MODE names.
SIM_SECONDS ?= 60
LITMUS_SCHEDULES ?= 500
sim: $(B)/tests/sim/sim
	$(Q)$< $(if $(SEED),--seed=$(SEED) --schedules=1,--seconds=$(SIM_SECONDS)) \
	    $(if $(SEED)$(LITMUS)$(MODE),,--seeds=tests/sim/seeds.txt) $(if $(MODE),--mode=$(MODE)) \
	    $(if $(LITMUS),--litmus=$(LITMUS) --histogram) $(if $(STEPS),--steps=$(STEPS)) \
	    $(if $(PES),--pes=$(PES))
# About SIM_SECONDS in all on an idle core: the table 10 s, the small worlds 12 s.
test-sim: $(B)/tests/sim/sim
	$(call say,RUN,$<)
	$(Q)$< --quiet --mode=litmus --schedules=$(LITMUS_SCHEDULES) $(if $(V),--histogram)
	$(Q)$< --quiet --mode=litmus-all --seconds=$$(($(SIM_SECONDS) / 12))
	$(Q)$< --quiet --mode=exhaustive --seconds=$(SIM_SECONDS)
	$(Q)$< --quiet --mode=model
	$(Q)$< --quiet --mode=preempt --seconds=$$((($(SIM_SECONDS) + 59) / 60))
	$(Q)$< --quiet --seeds=tests/sim/seeds.txt --seconds=$$(($(SIM_SECONDS) * 2 / 5))
mutants:
	$(Q)CC='$(CC)' BUILD=$(CURDIR)/$(B)/mutants sh tests/sim/mutants.sh
models:
	$(Q)sh docs/models/run.sh

# SECONDS each for the simulator and the MPI test; then the large models, which end when they end:
# MODELS=0 leaves them out.
SECONDS ?= 600
MODELS  ?= 1
soak: $(MPI_TESTS) $(B)/tests/litmus/litmus $(B)/apps/heat $(B)/tests/sim/sim
	$(Q)$(B)/tests/sim/sim --quiet --mode=litmus --schedules=10000 $(if $(V),--histogram)
	$(Q)$(B)/tests/sim/sim --quiet --mode=litmus-all --seconds=$(SECONDS)
	$(Q)$(B)/tests/sim/sim --quiet --mode=exhaustive --seconds=$(SECONDS)
	$(Q)$(B)/tests/sim/sim --quiet --mode=larger --seconds=$$(($(SECONDS) / 18))
	$(Q)$(B)/tests/sim/sim --quiet --mode=preempt --seconds=$$(($(SECONDS) / 36))
	$(Q)$(B)/tests/sim/sim --quiet --seconds=$(SECONDS)
	$(Q)sh tests/mpi/run.sh $(B)
	$(Q)sh tests/mpi/run_variants.sh $(B)
	$(Q)sh tests/hosts/run.sh $(B)
	$(Q)HEARTH_LITMUS_RUNS=10000 sh tests/litmus/run.sh $(B)
	$(Q)sh tests/mpi/soak.sh $(B) $(SECONDS)
	$(Q)[ '$(MODELS)' = 0 ] || sh docs/models/run.sh long

# BENCH="miss sharing": only those programs.
bench:
	$(Q)sh .ci/deps.sh bench
	$(Q)$(MAKE) --no-print-directory bench-programs apps $(INFO)
	$(Q)sh bench/run.sh $(B) $(BENCH)

# The cost model to 4,096 PEs: formulas that the simulator's counts must equal, and times by LogGP.
model: $(B)/bench/loggp $(B)/tests/sim/sim
	$(Q)sh bench/model.sh $(B)

lint:
	$(Q)sh .ci/lint.sh $(B)
format:
	$(Q)clang-format -i $(ALL_SRC)

install: all
	$(Q)sh .ci/install.sh $(B) $(DESTDIR)$(PREFIX) $(PREFIX) $(VERSION)

clean:
	$(Q)rm -rf build
