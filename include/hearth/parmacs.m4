divert(-1)
# SPDX-License-Identifier: BSD-3-Clause
#
# The ANL macros (PARMACS) on Hearth: m4 parmacs.m4 prog.C > prog.c. docs/parmacs.md says how to
# build and what each macro does. Statements stand in braces, so that a semicolon after them is
# allowed and not needed; a declaration brings its own.

# Words of m4 that are words of C too, and would vanish from the program.
undefine(`len')
undefine(`index')
undefine(`shift')
undefine(`eval')
undefine(`format')
undefine(`substr')
undefine(`incr')
undefine(`decr')
undefine(`unix')
undefine(`translit')
undefine(`regexp')
undefine(`patsubst')
undefine(`sysval')
undefine(`indir')
undefine(`builtin')

# An error ends the job, with the place. The macro's name is quoted once more, or it would be
# expanded anew, for ever; for the same reason a name without arguments (in a comment, say) is left
# as it is.
define(`hearth_must', `{ hearth_parmacs_must($2, "`$1'", __FILE__, __LINE__); }')

# --- the program ---

define(`MAIN_ENV', `
#include <hearth_parmacs.h>
__attribute__((constructor)) static void hearth_parmacs_begin(int argc, char **argv)
{
    hearth_parmacs_start(argc, argv);
}
')
define(`EXTERN_ENV', `
#include <hearth_parmacs.h>
')
define(`ENV', `')
define(`MAIN_INITENV', `{;}')
define(`MAIN_END', `{ exit(0); }')

# CREATE(f, n) runs f n times, once here; CREATE(f) once more, elsewhere.
define(`CREATE', `ifelse($#, 0, ``CREATE'', `ifelse(`$2', `',
    `hearth_must(`CREATE', `hearth_spawn((void (*)(void))($1), 1)')',
    `{ hearth_must(`CREATE', `hearth_spawn((void (*)(void))($1), (int)($2) - 1)') ((void (*)(void))($1))(); }')')')
define(`WAIT_FOR_END', `ifelse($#, 0, ``WAIT_FOR_END'', `hearth_must(`WAIT_FOR_END', `hearth_join()')')')

# --- locks ---

define(`LOCKDEC', `ifelse($#, 0, ``LOCKDEC'', `struct hearth_lock $1;')')
define(`LOCKINIT', `ifelse($#, 0, ``LOCKINIT'', `hearth_must(`LOCKINIT', `hearth_lock_init(&($1))')')')
define(`LOCK', `ifelse($#, 0, ``LOCK'', `hearth_must(`LOCK', `hearth_lock_acquire(&($1))')')')
define(`UNLOCK', `ifelse($#, 0, ``UNLOCK'', `hearth_must(`UNLOCK', `hearth_lock_release(&($1))')')')

define(`ALOCKDEC', `ifelse($#, 0, ``ALOCKDEC'', `struct hearth_lock $1[$2];')')
define(`ALOCKINIT', `ifelse($#, 0, ``ALOCKINIT'', `hearth_must(`ALOCKINIT', `hearth_parmacs_locks($1, $2)')')')
define(`ALOCK', `ifelse($#, 0, ``ALOCK'', `hearth_must(`ALOCK', `hearth_lock_acquire(&($1)[$2])')')')
define(`AULOCK', `ifelse($#, 0, ``AULOCK'', `hearth_must(`AULOCK', `hearth_lock_release(&($1)[$2])')')')
define(`AUNLOCK', `ifelse($#, 0, ``AUNLOCK'', `AULOCK(`$1', `$2')')')
define(`AGETL', `ifelse($#, 0, ``AGETL'', `(($1)[$2])')')

# --- barriers ---

define(`BARDEC', `ifelse($#, 0, ``BARDEC'', `struct hearth_barrier $1;')')
define(`BARINIT', `ifelse($#, 0, ``BARINIT'', `hearth_must(`BARINIT', `hearth_barrier_init(&($1), ifelse(`$2', `', `1', `(uint32_t)($2)'))')')')
define(`BARRIER', `ifelse($#, 0, ``BARRIER'', `hearth_must(`BARRIER', `hearth_parmacs_barrier(&($1), ifelse(`$2', `', `0', `(long)($2)'))')')')

# Of machines that had to be told which processes take part, start threads, or where to put what:
# nothing here.
define(`hearth_hint', `define(`$1', `ifelse($'`#, 0, ``$1'', `{;}')')')
hearth_hint(`BARINCLUDE')
hearth_hint(`BAREXCLUDE')
hearth_hint(`THREAD_INIT_FREE')
hearth_hint(`SET_HOME')
hearth_hint(`AUG_SET_LOLIMIT')
hearth_hint(`AUG_SET_HILIMIT')
define(`AUG_ON', `{;}')
define(`AUG_OFF', `{;}')
define(`GET_PID', `ifelse($#, 0, ``GET_PID'', `{ ($1) = hearth_my_pe(); }')')

# --- condition variables ---

define(`CONDVARDEC', `ifelse($#, 0, ``CONDVARDEC'', `struct hearth_cond $1;')')
define(`CONDVARINIT', `ifelse($#, 0, ``CONDVARINIT'', `hearth_must(`CONDVARINIT', `hearth_cond_init(&($1))')')')
define(`CONDVARWAIT', `ifelse($#, 0, ``CONDVARWAIT'', `hearth_must(`CONDVARWAIT', `hearth_cond_wait(&($1), &($2))')')')
define(`CONDVARSIGNAL', `ifelse($#, 0, ``CONDVARSIGNAL'', `hearth_must(`CONDVARSIGNAL', `hearth_cond_signal(&($1))')')')
define(`CONDVARBCAST', `ifelse($#, 0, ``CONDVARBCAST'', `hearth_must(`CONDVARBCAST', `hearth_cond_broadcast(&($1))')')')

# --- pauses: one, or an array of n ---

define(`PAUSEDEC', `ifelse($#, 0, ``PAUSEDEC'', `struct hearth_sema $1`'ifelse(`$2', `', `', `[$2]');')')
define(`PAUSEINIT', `ifelse($#, 0, ``PAUSEINIT'', `hearth_must(`PAUSEINIT', ifelse(`$2', `', ``hearth_sema_init(&($1), 0)'', ``hearth_parmacs_semas($1, $2)''))')')
define(`SETPAUSE', `ifelse($#, 0, ``SETPAUSE'', `hearth_must(`SETPAUSE', ifelse(`$2', `', ``hearth_sema_post(&($1))'', ``hearth_sema_post(&($1)[$2])''))')')
define(`CLEARPAUSE', `ifelse($#, 0, ``CLEARPAUSE'', `{;}')')
define(`WAITPAUSE', `ifelse($#, 0, ``WAITPAUSE'', `hearth_must(`WAITPAUSE', ifelse(`$2', `', ``hearth_sema_wait(&($1))'', ``hearth_sema_wait(&($1)[$2])''))')')

# --- memory ---

# A statement, as with the macro files of old: programs leave out the semicolon (lu does). The forms
# with _F are expressions.
define(`G_MALLOC_F', `ifelse($#, 0, ``G_MALLOC_F'', `hearth_parmacs_malloc($1, __FILE__, __LINE__)')')
define(`G_MALLOC', `ifelse($#, 0, ``G_MALLOC'', `G_MALLOC_F(`$1');')')
define(`NU_MALLOC_F', `ifelse($#, 0, ``NU_MALLOC_F'', `G_MALLOC_F(`$1')')')
define(`NU_MALLOC', `ifelse($#, 0, ``NU_MALLOC'', `G_MALLOC(`$1')')')
define(`G_FREE', `ifelse($#, 0, ``G_FREE'', `hearth_must(`G_FREE', `hearth_shared_free($1)')')')
define(`NU_FREE', `ifelse($#, 0, ``NU_FREE'', `G_FREE(`$1')')')

# --- the rest ---

define(`CLOCK', `ifelse($#, 0, ``CLOCK'', `{ ($1) = hearth_parmacs_clock(); }')')
define(`ACQUIRE_FENCE', `hearth_must(`ACQUIRE_FENCE', `hearth_acquire()')')
define(`RELEASE_FENCE', `hearth_must(`RELEASE_FENCE', `hearth_release()')')
define(`FULL_FENCE', `{ hearth_must(`FULL_FENCE', `hearth_release()') hearth_must(`FULL_FENCE', `hearth_acquire()') }')
define(`FENCE', `FULL_FENCE')
divert(0)dnl
