# make            the program: ./lookat
# make test       builds and runs all tests
# make bench      measures speed on models of GPT-2's shape, beside this machine's limits
# make lib        the library and its header, to be part of other programs: liblookat.a, lookat.h and
#                 lookat.pc (pkg-config) in lib/ and include/ of BUILD
# make install    the program, its model, manual page and completions, and the library, below PREFIX
#                 (make uninstall)
# make static     .build/static/lookat, which needs no library of the machine it runs on; with
#                 CC=musl-gcc of musl; make static install puts it in place
# make windows    .build/windows/lookat.exe, with mingw-w64 (MINGW names its compiler)
# make peer       compares with llama.cpp, where it is set up (tests/README.md)
# make fuzz       looks for inputs that break the readers of files; needs clang with libFuzzer
# make layers     checks that no folder of src includes from one above it
#
# Variables: CC, CFLAGS, THREADS=1|openmp|0 (a pool of threads, the compiler's OpenMP, one thread),
# BUILD (folder for objects), BIN (the program), ONLY="gguf cli" (make test: these alone),
# SECONDS (make fuzz: of each target), PREFIX (make install: /usr/local), DESTDIR (in front of PREFIX,
# for who packs the files up)

# as many jobs as there are cores, unless -j says otherwise
ifeq ($(filter -j% --jobserver%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 2)
endif

CFLAGS ?= -O3 -g
ifneq ($(filter static,$(MAKECMDGOALS)),)
BUILD  ?= .build/static
BIN    ?= $(BUILD)/lookat
override LDFLAGS += -static
endif
ifneq ($(filter windows,$(MAKECMDGOALS)),)
MINGW  ?= x86_64-w64-mingw32-gcc
CC     := $(MINGW)
BUILD  ?= .build/windows
BIN    ?= $(BUILD)/lookat.exe
override LDFLAGS += -static
endif
BUILD  ?= .build/default
BIN    ?= lookat

# 32-bit x86 computes floats in float's precision only with SSE
MACROS := $(shell $(CC) $(CFLAGS) -dM -E -x c /dev/null 2>/dev/null)
MACHINE := $(if $(findstring __i386__,$(MACROS)),-msse2 -mfpmath=sse)

# clang says nothing of these to require.h
# A compiler for Windows gets base/windows.h in front of every source, and empty headers in place
# of those that Windows does not have. The assembler makes vectors independent of alignment, which
# gcc does not give them on a stack there (its bug 54412).
WINDOWS := $(findstring __MINGW32__,$(MACROS))
ABSENT := sys/mman.h sys/resource.h sys/utsname.h sys/ioctl.h dirent.h poll.h
ifneq ($(WINDOWS),)
MACHINE += -D__USE_MINGW_ANSI_STDIO=1 -D_FILE_OFFSET_BITS=64 -I$(BUILD)/absent -include base/windows.h
ABSENT := $(shell mkdir -p $(BUILD)/absent/sys && cd $(BUILD)/absent && for f in $(ABSENT); do : > $$f; done)
endif

UNSAFE := $(filter -funsafe-math-optimizations -fassociative-math -freciprocal-math -fapprox-func, \
	$(CC) $(CFLAGS))
ifneq ($(UNSAFE),)
$(error lookat refuses $(UNSAFE): it changes the results)
endif

WARN   := -Wall -Wextra -Wpedantic -Wshadow
# require.h, in front of every source, refuses what would change the results: -Ofast, a big-endian
# machine and the like. Contraction is off whatever CFLAGS say: gcc and clang then round the same
# expressions in the same way.
ALL    := -std=c11 -D_POSIX_C_SOURCE=200809L -Isrc -include base/require.h $(WARN) $(MACHINE) \
	$(CFLAGS) -ffp-contract=off
LIBS   := -lm

# one of three files behind base/threads.h
THREADS ?= 1
WAY_1 := pool
WAY_0 := serial
WAY_openmp := openmp
ifeq ($(WAY_$(THREADS)),)
$(error THREADS is 1 (a pool of threads), openmp or 0 (one thread), not '$(THREADS)')
endif
WAYS   := $(wildcard src/base/threads_*.c)
SRC    := $(filter-out $(WAYS) $(if $(WINDOWS),,src/base/windows.c),$(wildcard src/*/*.c)) src/base/threads_$(WAY_$(THREADS)).c
ALL    += $(if $(filter 0,$(THREADS)),,-pthread)
ifeq ($(THREADS),openmp)
# GCC's OpenMP library becomes part of the program where it can: threads_openmp.c says why
GOMP   := $(if $(findstring __clang__,$(MACROS)),,\
	$(filter /%,$(shell $(CC) $(CFLAGS) -print-file-name=libgomp.a)))
LIBS   += $(or $(GOMP),-fopenmp)
$(BUILD)/src/base/threads_openmp.o: ISA := -fopenmp
endif

FLAGS  := $(BUILD)/flags
OBJ    := $(SRC:%.c=$(BUILD)/%.o)
MAIN   := $(BUILD)/src/main.o
LIB    := $(BUILD)/rooms.a
TESTS  := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/test_*.c))
TOOLS  := $(patsubst tests/%.c,$(BUILD)/tests/%,$(filter-out tests/test_% tests/embed.c,$(wildcard tests/*.c)))

FUZZ   := $(patsubst %.c,$(BUILD)/%,$(filter-out tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c)))
# a fuzz target is run by libFuzzer, or by a loop over files
FUZZER ?= $(BUILD)/tests/fuzz/replay.o

all: $(BIN)

$(BIN): $(MAIN) $(LIB)
	$(CC) $(ALL) $(LDFLAGS) -o $@ $(MAIN) $(LIB) $(LIBS)

$(LIB): $(OBJ)
	@rm -f $@
	@$(AR) rcs $@ $(OBJ)

# The library: what src/embed/lookat.c needs of the rooms, as one object of which only the functions
# of lookat.h can be seen. Where the tools cannot make that, an archive of the rooms below it.
API     := src/embed/lookat.h
OBJCOPY ?= $(shell $(CC) -print-prog-name=objcopy)
# with -flto an object is no machine code before that is asked for
RELINK  := $(if $(findstring -flto,$(CFLAGS)),$(CFLAGS) -flinker-output=nolto-rel)
ABOVE   := $(foreach room,cli report measure calibration,$(BUILD)/src/$(room)/%)
lib: $(BUILD)/lib/liblookat.a $(BUILD)/lib/pkgconfig/lookat.pc $(BUILD)/include/lookat.h

$(BUILD)/lib/liblookat.a: $(LIB) $(API)
	@mkdir -p $(@D)
	@rm -f $@
	@sed -n 's/^[a-z].*[ *]\(lookat_[a-z_]*\)(.*/\1/p' $(API) > $(BUILD)/api
	@echo 'liblookat.a: of $(BUILD)/src/embed/lookat.o and the rooms below it'
	@{ $(CC) $(filter -m%,$(CFLAGS)) $(RELINK) -r -nostdlib -o $(BUILD)/lookat.o \
		$(BUILD)/src/embed/lookat.o $(LIB) && \
	$(OBJCOPY) --keep-global-symbols=$(BUILD)/api $(BUILD)/lookat.o && \
	$(AR) rcs $@ $(BUILD)/lookat.o; } || $(AR) rcs $@ $(filter-out $(ABOVE),$(OBJ))

# seen from itself, so that it may be moved together with the folders beside it
$(BUILD)/lib/pkgconfig/lookat.pc: $(API) $(FLAGS)
	@mkdir -p $(@D)
	@{ echo 'prefix=$${pcfiledir}/../..'; \
	echo 'model=$${prefix}/share/lookat/stories6M.gguf'; \
	echo 'Name: lookat'; \
	echo 'Description: GPT-2 on the CPU, with a choice of ways to keep the KV cache'; \
	sed -n 's/^#define LOOKAT_VERSION "\(.*\)"/Version: \1/p' $(API); \
	echo 'Cflags: -I$${prefix}/include'; \
	echo 'Libs: -L$${prefix}/lib -llookat $(LIBS) $(filter -pthread,$(ALL))'; } > $@

$(BUILD)/include/lookat.h: $(API)
	@mkdir -p $(@D)
	@cp $(API) $@

# the compiler and its flags are part of what an object depends on
$(FLAGS): always
	@mkdir -p $(BUILD)
	@echo '$(CC) $(ALL) THREADS=$(THREADS)' > $@.now
	@cmp -s $@.now $@ || cp $@.now $@

ifneq ($(findstring __x86_64__,$(MACROS)),)
AVX2   := -mavx2 -mfma -mf16c
$(BUILD)/src/kernels/avx2.o: ISA := $(AVX2)
$(BUILD)/src/kernels/avx512.o: ISA := $(AVX2) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mavx512vbmi
endif

ifneq ($(WINDOWS),)
$(BUILD)/src/kernels/avx2.o $(BUILD)/src/kernels/avx512.o: ISA += -Wa,-muse-unaligned-vector-move
endif

$(BUILD)/%.o: %.c $(FLAGS)
	@mkdir -p $(@D)
	$(CC) $(ALL) $(ISA) -MMD -c -o $@ $<

$(FUZZ): %: %.o $(filter %.o,$(FUZZER)) $(LIB)
	$(CC) $(ALL) $(LDFLAGS) -o $@ $< $(FUZZER) $(LIB) $(LIBS)

$(BUILD)/tests/%: $(BUILD)/tests/%.o $(LIB)
	$(CC) $(ALL) $(LDFLAGS) -o $@ $< $(LIB) $(LIBS)

# of ONLY, names of programs and of scripts
SOME   := $(if $(ONLY),$(filter $(ONLY:%=$(BUILD)/tests/test_%),$(TESTS)),$(TESTS))
test: $(BIN) lib $(SOME) $(TOOLS) $(if $(ONLY),$(if $(filter fuzz,$(ONLY)),$(FUZZ)),$(FUZZ))
	@BUILD=$(BUILD) BIN=$(BIN) RUN='$(RUN)' ONLY='$(ONLY)' sh tests/run.sh

static: $(BIN)

windows: $(BIN)

PREFIX ?= /usr/local
INTO   = $(DESTDIR)$(PREFIX)
# the program looks for its model in ../share/lookat, seen from its own folder
SHARE  = $(INTO)/share/lookat
MAN    = $(INTO)/share/man/man1
BASH   = $(INTO)/share/bash-completion/completions
ZSH    = $(INTO)/share/zsh/site-functions
FISH   = $(INTO)/share/fish/vendor_completions.d
SAYS   = $(RUN) "$(abspath $(BIN))"

install: $(BIN) lib
	install -d "$(INTO)/bin" "$(SHARE)/tokenizer" "$(MAN)" "$(BASH)" "$(ZSH)" "$(FISH)"
	install -d "$(INTO)/include" "$(INTO)/lib/pkgconfig"
	install -m 755 "$(BIN)" "$(INTO)/bin/lookat"
	install -m 644 $(BUILD)/lib/liblookat.a "$(INTO)/lib"
	install -m 644 $(BUILD)/lib/pkgconfig/lookat.pc "$(INTO)/lib/pkgconfig"
	install -m 644 $(BUILD)/include/lookat.h "$(INTO)/include"
	install -m 644 weights/stories6M.gguf "$(SHARE)"
	install -m 644 tokenizer/vocab.json tokenizer/merges.txt "$(SHARE)/tokenizer"
	$(SAYS) help --man > "$(MAN)/lookat.1"
	$(SAYS) completion bash > "$(BASH)/lookat"
	$(SAYS) completion zsh > "$(ZSH)/_lookat"
	$(SAYS) completion fish > "$(FISH)/lookat.fish"

uninstall:
	rm -f "$(INTO)/lib/liblookat.a" "$(INTO)/lib/pkgconfig/lookat.pc" "$(INTO)/include/lookat.h"
	rm -f "$(INTO)/bin/lookat" "$(SHARE)/stories6M.gguf"
	rm -f "$(SHARE)/tokenizer/vocab.json" "$(SHARE)/tokenizer/merges.txt"
	[ ! -d "$(SHARE)/tokenizer" ] || rmdir "$(SHARE)/tokenizer" "$(SHARE)"
	rm -f "$(MAN)/lookat.1" "$(BASH)/lookat" "$(ZSH)/_lookat" "$(FISH)/lookat.fish"

bench: $(BIN)
	@BIN=$(abspath $(BIN)) sh tests/bench.sh

peer: $(BIN)
	@BIN=$(abspath $(BIN)) sh tests/peer.sh

fuzz-targets: $(FUZZ)

fuzz:
	$(MAKE) CC="$(firstword $(filter %clang,$(CC)) clang)" BUILD=.build/fuzz FUZZER=-fsanitize=fuzzer \
		CFLAGS="-O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all" fuzz-targets
	@sh tests/fuzz/run.sh $(or $(SECONDS),60)

# A header that has moved away since the last build is no error: what included it is built again.
%.h: ;
%.inc: ;

layers:
	@sh tests/layers.sh

clean:
	rm -rf .build lookat

-include $(OBJ:.o=.d) $(MAIN:.o=.d) $(wildcard $(BUILD)/tests/*.d $(BUILD)/tests/fuzz/*.d)
.PHONY: all test fuzz fuzz-targets bench static windows lib install uninstall peer layers clean always
.SECONDARY:
