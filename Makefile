# SPDX-License-Identifier: MIT
# tracealloc: one plain makefile. `make help` lists what it can do.

O       ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
CC      = gcc
V       ?= 0
CHECKS  ?= 0
SAN     ?=

VERSION = 0.1.0

WARNINGS = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith
CFLAGS   ?= -O2 -g
CPPFLAGS = -D_GNU_SOURCE -DTRACEALLOC_VERSION='"$(VERSION)"' -DTRACEALLOC_CHECKS=$(CHECKS) -Isrc
ALL_CFLAGS = -std=gnu11 $(WARNINGS) $(if $(WERROR),-Werror) -fno-strict-aliasing -pthread $(CFLAGS) \
	     $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
ALL_LDFLAGS = $(LDFLAGS) -pthread $(if $(SAN),-fsanitize=$(SAN))
LIBS     = -ldw -lelf -llzma -lZydis -liberty -ljansson

# The folders, lowest first, each with those it may be linked with (scripts/lint-layers holds the
# include table).
FOLDERS = base arch unwind target image allocator stack probe ledger snapshot report session cli
NEEDS_base      = base
NEEDS_arch      = arch base
NEEDS_unwind    = unwind
NEEDS_target    = target arch base
NEEDS_image     = image arch unwind base
NEEDS_allocator = allocator base
NEEDS_stack     = stack target image unwind arch base
NEEDS_probe     = probe allocator target arch base
NEEDS_ledger    = ledger base
NEEDS_snapshot  = snapshot base
NEEDS_report    = report snapshot base
NEEDS_session   = session probe stack snapshot ledger allocator image target unwind arch base
NEEDS_cli       = cli report $(NEEDS_session)

SOURCES = $(foreach f,$(FOLDERS),$(wildcard src/$(f)/*.c))
MAIN    = src/cli/main.c
objects = $(patsubst src/%.c,$(O)/obj/%.o,$(filter-out $(MAIN),$(wildcard src/$(1)/*.c)))
archives = $(patsubst %,$(O)/lib/%.a,$(1))

ifeq ($(V),0)
say = @printf '  %-7s %s\n' $(1) $(2);
endif

all: $(O)/tracealloc

$(O)/obj/%.o: src/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

define archive_rule
$(O)/lib/$(1).a: $(call objects,$(1))
	@mkdir -p $$(@D)
	$(call say,AR,$$@)rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach f,$(FOLDERS),$(eval $(call archive_rule,$(f))))

$(O)/tracealloc: $(O)/obj/cli/main.o $(call archives,$(NEEDS_cli))
	$(call say,LD,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(O)/obj/cli/main.o \
		-Wl,--start-group $(call archives,$(NEEDS_cli)) -Wl,--end-group $(LIBS)

# ---- unit tests: tests/unit/FOLDER/NOUN.c becomes build/tests/unit/FOLDER-NOUN and is linked with
# what FOLDER may use and nothing else.
UNIT_SOURCES = $(wildcard tests/unit/*/*.c)
UNIT_TESTS   = $(foreach s,$(UNIT_SOURCES),$(O)/tests/unit/$(subst /,-,$(patsubst tests/unit/%.c,%,$(s))))
define unit_rule
$(O)/tests/unit/$(1)-%: tests/unit/$(1)/%.c $(call archives,$(NEEDS_$(1)))
	@mkdir -p $$(@D)
	$(call say,TEST,$$@)$(CC) $(CPPFLAGS) -Itests $(ALL_CFLAGS) -MMD -MP $(ALL_LDFLAGS) -o $$@ $$< \
		-Wl,--start-group $(call archives,$(NEEDS_$(1))) -Wl,--end-group -lcheck -lsubunit -lm -lrt $(LIBS)
endef
$(foreach f,$(FOLDERS),$(eval $(call unit_rule,$(f))))
unit-tests: $(UNIT_TESTS)

.PHONY: all unit-tests clean
clean:
	rm -rf $(O)

-include $(shell find $(O) -name '*.d' 2>/dev/null)

# ---- end-to-end tests: tests/e2e/NAME.c becomes build/tests/e2e/NAME; what they trace is
# tests/targets/NAME.c or .cc, built as build/tests/targets/NAME with flags of its own, since the
# expected lines and inlines depend on them.
TARGET_FLAGS = -O2 -g -pthread -D_GNU_SOURCE -Isrc -Itests -Wall -Wextra
TARGETS_C    = $(patsubst tests/targets/%.c,$(O)/tests/targets/%,$(wildcard tests/targets/*.c))
TARGETS_CXX  = $(patsubst tests/targets/%.cc,$(O)/tests/targets/%,$(wildcard tests/targets/*.cc))
E2E_LIB      = $(wildcard tests/lib/*.c)
E2E_ARCHIVES = $(O)/lib/base.a
E2E_LIBS     = -ljansson
E2E_TESTS    = $(patsubst tests/e2e/%.c,$(O)/tests/e2e/%,$(wildcard tests/e2e/*.c))

$(TARGETS_C): $(O)/tests/targets/%: tests/targets/%.c
	@mkdir -p $(@D)
	$(call say,TARGET,$@)gcc -std=gnu11 $(TARGET_FLAGS) -MMD -MP -o $@ $< -ldl

$(TARGETS_CXX): $(O)/tests/targets/%: tests/targets/%.cc
	@mkdir -p $(@D)
	$(call say,TARGET,$@)g++ $(TARGET_FLAGS) -MMD -MP -o $@ $< -ldl

$(E2E_TESTS): $(O)/tests/e2e/%: tests/e2e/%.c $(E2E_LIB) $(wildcard tests/lib/*.h) $(O)/lib/base.a
	@mkdir -p $(@D)
	$(call say,TEST,$@)$(CC) $(CPPFLAGS) -Itests $(ALL_CFLAGS) -MMD -MP $(ALL_LDFLAGS) -o $@ $< \
		$(E2E_LIB) $(E2E_MORE) -Wl,--start-group $(E2E_ARCHIVES) -Wl,--end-group \
		-lcheck -lsubunit -lm -lrt $(E2E_LIBS)

# This one drives the product's own code beside its oracles, in place of the program.
$(O)/tests/e2e/stacks: E2E_MORE     = $(wildcard tests/lib/stacks/*.c)
$(O)/tests/e2e/stacks: E2E_ARCHIVES = $(call archives,$(NEEDS_session))
$(O)/tests/e2e/stacks: E2E_LIBS     = $(LIBS)
$(O)/tests/e2e/stacks: $(wildcard tests/lib/stacks/*.[ch]) $(call archives,$(NEEDS_session))

e2e-tests: all $(TARGETS_C) $(TARGETS_CXX) $(E2E_TESTS)

# Debian's redis-server package would start a service on whoever's machine this is; its program is a
# link to one of redis-tools, so that the link can be made here.
$(O)/tests/bin/redis-server:
	@mkdir -p $(@D)
	@program=$$(command -v redis-server || command -v redis-check-rdb || true); \
		if [ -n "$$program" ]; then ln -sf "$$program" $@; fi

check: unit-tests e2e-tests $(O)/tests/bin/redis-server
	@scripts/run-tests $(O) $(UNIT_TESTS) $(E2E_TESTS)

check-long: long-dependencies unit-tests e2e-tests $(O)/tests/bin/redis-server
	@TRACEALLOC_LONG=1 TEST_TIMEOUT=14400 scripts/run-tests $(O) $(UNIT_TESTS) $(E2E_TESTS)

long-dependencies:
	@scripts/install-dependencies long

# ---- what looks at the sources
C_FILES = $(wildcard src/*/*.[ch] tests/*/*.[ch] tests/*/*.cc tests/*/*/*.[ch] tests/*/*/*.cc \
	  scripts/*/*.[ch])

lint: lint-layers lint-format lint-man lint-scripts warnings

lint-layers:
	scripts/lint-layers

lint-format:
	clang-format --dry-run -Werror $(C_FILES)

lint-man: $(O)/tracealloc
	scripts/lint-man $(O)/tracealloc man/tracealloc.1

lint-scripts:
	scripts/lint-scripts

warnings:
	$(MAKE) O=$(O)/warnings/gcc CC=gcc WERROR=1 all unit-tests $(E2E_TESTS:$(O)/%=$(O)/warnings/gcc/%)
	@if command -v clang >/dev/null; then \
		echo 'clang too:'; \
		$(MAKE) O=$(O)/warnings/clang CC=clang WERROR=1 all unit-tests \
			$(E2E_TESTS:$(O)/%=$(O)/warnings/clang/%); \
	else \
		echo 'clang is not installed: its warnings were not looked for'; \
	fi

format:
	clang-format -i $(C_FILES)

# ---- demonstration, measurement, installation
$(O)/demo/words: scripts/demo-sample/words.c
	@mkdir -p $(@D)
	$(call say,CC,$@)gcc -std=gnu11 -O1 -g -Wall -Wextra -o $@ $<

demo: all $(O)/demo/words
	@scripts/demo-tour $(O)

$(O)/tests/bench/%: tests/bench/%.c
	@mkdir -p $(@D)
	$(call say,BENCH,$@)gcc -std=gnu11 -O2 -fomit-frame-pointer -pthread -Wall -Wextra -o $@ $<

bench: all $(O)/tests/bench/pair
	scripts/bench $(O)

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 755 $(O)/tracealloc $(DESTDIR)$(PREFIX)/bin/tracealloc
	install -m 644 man/tracealloc.1 $(DESTDIR)$(PREFIX)/share/man/man1/tracealloc.1

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/tracealloc $(DESTDIR)$(PREFIX)/share/man/man1/tracealloc.1

help:
	@echo 'make                build $(O)/tracealloc'
	@echo 'make demo           show it at work on real programs'
	@echo 'make check          all tests; the last line is their sum'
	@echo 'make check-long     the same with long rounds and large inputs (hours)'
	@echo 'make unit-tests     build the unit tests as $(O)/tests/unit/FOLDER-NOUN'
	@echo 'make e2e-tests      build the end-to-end tests as $(O)/tests/e2e/NAME'
	@echo 'make bench          measure the cost of tracing'
	@echo 'make lint           layers, format, manual page, scripts, compiler warnings'
	@echo 'make format         format the sources'
	@echo 'make install        install below DESTDIR (none) and PREFIX (/usr/local)'
	@echo 'make uninstall      remove what install has put there'
	@echo 'make clean          remove $(O)'
	@echo
	@echo 'Variables: O=DIRECTORY (build), CC=clang, CFLAGS=..., WERROR=1, V=1 (whole commands),'
	@echo 'SAN=address,undefined (sanitizers), CHECKS=2 (every internal check).'

.PHONY: e2e-tests check check-long long-dependencies lint lint-layers lint-format lint-man lint-scripts warnings
.PHONY: format demo bench install uninstall help
