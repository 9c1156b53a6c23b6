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
export HEARTH_LITMUS_RUNS ?= 2500
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

WARN    = -Wall -Wextra -Wshadow -Werror
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
LITMUS_O   := $(patsubst %.c,$(B)/%.o,$(wildcard tests/litmus/*.c)) $(B)/tests/mpi/watchdog.o
# The simulator: the protocols as they ship, and a port of its own.
SIM_O      := $(patsubst %.c,$(B)/sim/%.o,$(wildcard tests/sim/*.c)) \
              $(patsubst %.c,$(B)/%.o,$(PROTOCOL_C) src/homes.c tests/litmus/table.c \
              tests/litmus/judge.c)
# The parts that need no world: the unit tests have a small one of their own.
PURE_O     := $(patsubst %.c,$(B)/%.o,$(wildcard src/heap_*.c) src/homes.c src/config.c src/placement.c \
              $(patsubst %,src/protocol/%.c,diff diff_mask directory stale page))
UNIT_O     := $(patsubst %.c,$(B)/%.o,$(wildcard tests/unit/*.c))
MPI_TESTS  := $(patsubst tests/mpi/%.c,$(B)/tests/mpi/%,$(wildcard tests/mpi/test_*.c))
HARNESS_O  := $(patsubst %.c,$(B)/%.o,$(filter-out tests/mpi/test_%.c,$(wildcard tests/mpi/*.c)))
BENCHES    := $(patsubst bench/%.c,$(B)/bench/%,$(wildcard bench/*.c))
INFO       := $(B)/hearth-info
APPS       := $(B)/apps/heat $(B)/apps/heat_mpi $(B)/apps/make_picture
ALL_C      := $(LIB_C) $(wildcard src/info/*.c tests/*/*.c apps/*.c bench/*.c)
ALL_SRC    := $(ALL_C) $(wildcard include/*.h src/*.h src/*/*.h tests/*/*.h apps/*.h bench/*.h)

.PHONY: all help deps demo check lint asan soak bench format clean install test-unit test-mpi test-variants test-hosts \
        test-litmus test-apps test-info test-install sim test-sim mutants models FORCE
all: $(B)/libhearth.a $(B)/libhearth.so $(INFO) apps bench-programs
help:
	@echo "make           the library, apps and benchmarks"
	@echo "make demo      install what is missing, build, show heat flow under both protocols"
	@echo "make check     install what is missing, build, run all tests"
	@echo "make deps      install what is missing (apt; elsewhere: name it and stop)"
	@echo "make sim       search for a schedule that breaks a protocol (SEED= STEPS= PES= replays)"
	@echo "make mutants   does the simulator find what it must?  make models: the model checker"
	@echo "make bench     measure; make soak SECONDS=600: random tests for that long, large models"
	@echo "make lint      format, undefined symbols of the protocols, sizes; make format mends"
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

# ---- programs ------------------------------------------------------------------------------------

.PHONY: apps bench-programs
apps: $(APPS)
bench-programs: $(BENCHES)

$(B)/apps/heat: $(B)/apps/heat.o $(B)/apps/heat_common.o $(B)/apps/heat_picture.o $(B)/libhearth.a
$(B)/apps/heat_mpi: $(B)/apps/heat_mpi.o $(B)/apps/heat_common.o $(B)/apps/heat_picture.o
$(B)/apps/make_picture: $(B)/apps/make_picture.o
$(APPS):
	$(call say,LD,$@)
	$(Q)$(MPICC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(LIBS) -lpng -lm

# From the objects: it looks behind the API.
$(INFO): $(B)/src/info/hearth_info.o $(LIB_O)
	$(call say,LD,$@)
	$(Q)$(MPICC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(LIBS)

$(BENCHES): $(B)/bench/%: $(B)/bench/%.o $(B)/libhearth.a
	$(call say,LD,$@)
	$(Q)$(MPICC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(LIBS)

$(MPI_TESTS): $(B)/tests/mpi/%: $(B)/tests/mpi/%.o $(HARNESS_O) $(B)/libhearth.a
	$(call say,LD,$@)
	$(Q)$(MPICC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(LIBS) -lcunit

$(B)/tests/unit/unit: $(UNIT_O) $(PURE_O)
	$(call say,LD,$@)
	$(Q)$(MPICC) $(CFLAGS) -o $@ $^ $(LDFLAGS) -lcunit -lpthread

-include $(ALL_C:%.c=$(B)/%.d) $(SIM_O:%.o=%.d)

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
	$(Q)$(MPICC) $(CFLAGS) -o $@ $^ $(LDFLAGS)

# ---- doing ----------------------------------------------------------------------------------------

deps:
	$(Q).ci/deps.sh

# After deps, in a make of its own: what was installed changes what can be built.
demo: deps
	$(Q)$(MAKE) --no-print-directory apps
	$(Q)sh apps/demo.sh $(B)

check: deps
	$(Q)$(MAKE) --no-print-directory all lint
	$(Q)HOSTS=some $(MAKE) --no-print-directory test-unit test-sim test-mpi test-variants test-hosts \
	    test-litmus test-apps test-info test-install

test-unit: $(B)/tests/unit/unit
	$(call say,RUN,$<)
	$(Q)$<
test-mpi: $(MPI_TESTS)
	$(Q)sh tests/mpi/run.sh $(B)
test-hosts: $(MPI_TESTS) $(B)/apps/heat
	$(Q)sh tests/hosts/run.sh $(B)
test-variants: $(MPI_TESTS)
	$(Q)VARIANTS=some sh tests/mpi/run_variants.sh $(B)
test-litmus: $(B)/tests/litmus/litmus
	$(Q)sh tests/litmus/run.sh $(B)
test-apps: $(B)/apps/heat
	$(Q)sh tests/apps.sh $(B)
test-info: $(INFO)
	$(Q)sh tests/info.sh $(B)
test-install: $(B)/libhearth.a $(B)/libhearth.so
	$(Q)sh tests/install.sh $(B)

asan:
	$(Q)$(MAKE) --no-print-directory B=$(B)/asan test-unit \
	    CFLAGS='-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer'

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
soak: $(MPI_TESTS) $(B)/apps/heat $(B)/tests/sim/sim
	$(Q)$(B)/tests/sim/sim --quiet --mode=litmus --schedules=10000 $(if $(V),--histogram)
	$(Q)$(B)/tests/sim/sim --quiet --mode=litmus-all --seconds=$(SECONDS)
	$(Q)$(B)/tests/sim/sim --quiet --mode=exhaustive --seconds=$(SECONDS)
	$(Q)$(B)/tests/sim/sim --quiet --mode=larger --seconds=$$(($(SECONDS) / 18))
	$(Q)$(B)/tests/sim/sim --quiet --mode=preempt --seconds=$$(($(SECONDS) / 36))
	$(Q)$(B)/tests/sim/sim --quiet --seconds=$(SECONDS)
	$(Q)sh tests/mpi/run_variants.sh $(B)
	$(Q)sh tests/hosts/run.sh $(B)
	$(Q)sh tests/mpi/soak.sh $(B) $(SECONDS)
	$(Q)[ '$(MODELS)' = 0 ] || sh docs/models/run.sh long

bench: deps
	$(Q)$(MAKE) --no-print-directory bench-programs
	$(Q)sh bench/run.sh $(B)

lint:
	$(Q)sh .ci/lint.sh $(B)
format:
	$(Q)clang-format -i $(ALL_SRC)

install: all
	$(Q)sh .ci/install.sh $(B) $(DESTDIR)$(PREFIX) $(PREFIX) $(VERSION)

clean:
	$(Q)rm -rf build
