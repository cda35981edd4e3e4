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
CPPFLAGS = -D_GNU_SOURCE -DTRACEALLOC_VERSION='"$(VERSION)"' -DTRACEALLOC_CHECKS=$(CHECKS) -Isrc \
	   $(if $(KILLPOINTS),-DTRACEALLOC_KILLPOINTS)
ALL_CFLAGS = -std=gnu11 $(WARNINGS) $(if $(WERROR),-Werror) -fno-strict-aliasing -pthread $(CFLAGS) \
	     $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
ALL_LDFLAGS = $(LDFLAGS) -pthread $(if $(SAN),-fsanitize=$(SAN))
LIBS     = -ldw -lelf -llzma -lZydis -liberty -lzstd -ljansson -lprotobuf-c -lz -lncursesw -ltinfo

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
NEEDS_probe     = probe agent unwind allocator target arch base
NEEDS_ledger    = ledger base
NEEDS_snapshot  = snapshot base
NEEDS_report    = report snapshot base
NEEDS_session   = session probe agent stack snapshot ledger allocator image target unwind arch base
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

# ---- what protoc-c makes of the description of pprof's format
PPROF = $(O)/generated/pprof.pb-c
$(PPROF).c $(PPROF).h &: src/report/pprof.proto
	@mkdir -p $(@D)
	$(call say,PROTOC,$<)protoc-c --proto_path=$(<D) --c_out=$(@D) $<

$(PPROF).o: $(PPROF).c
	$(call say,CC,$<)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(O)/obj/report/pprof.o $(O)/obj/report/pprof_tables.o: ALL_CFLAGS += -I$(O)/generated
$(O)/obj/report/pprof.o $(O)/obj/report/pprof_tables.o: $(PPROF).h
$(O)/lib/report.a: $(PPROF).o

# ---- agent: freestanding, whatever the rest is built with. Its flat image is a constant of lib/agent.a.
# cache.c is a part of call.o: agent/cache_inline.h.
AGENT_SOURCES  = $(filter-out src/unwind/cache.c,$(wildcard src/agent/*.c src/unwind/*.c))
AGENT_OBJECTS  = $(patsubst src/%.c,$(O)/agent/%.o,$(AGENT_SOURCES))
AGENT_CPPFLAGS = -Isrc
AGENT_CFLAGS   = -std=gnu11 $(WARNINGS) $(if $(WERROR),-Werror) -O2 -g -ffreestanding -fno-builtin \
		 -mgeneral-regs-only -fno-stack-protector -fcf-protection=none -fomit-frame-pointer \
		 -fno-asynchronous-unwind-tables -fvisibility=hidden -fPIE -fno-strict-aliasing
# A loop must not become a call of memcpy: clang leaves loops alone where there is no library, gcc
# needs to be told. It can be told, too, to clear memory without string instructions, and to align
# stacks no more than a register needs.
AGENT_GCC_CFLAGS = -fno-tree-loop-distribute-patterns -fno-ipa-sra \
		   -mmemset-strategy=unrolled_loop:-1:noalign \
		   -mmemcpy-strategy=unrolled_loop:-1:noalign \
		   -mpreferred-stack-boundary=3
agent_is_clang = $(findstring clang,$(shell $(CC) --version))
agent_cflags = $(AGENT_CFLAGS) $(if $(agent_is_clang),,$(AGENT_GCC_CFLAGS))
# Bytes of the target's stack, usually and at most; clang's frames are larger.
AGENT_STACK = 256 $(if $(agent_is_clang),640,512)

$(O)/agent/%.o: src/%.c
	@mkdir -p $(@D)
	$(call say,AGENT,$<)$(CC) $(AGENT_CPPFLAGS) $(agent_cflags) -MMD -MP -c -o $@ $<

$(O)/agent/image.elf: src/agent/image.lds $(AGENT_OBJECTS)
	$(call say,LD,$@)ld -T src/agent/image.lds -o $@ $(AGENT_OBJECTS)
	@scripts/agent-stack $@ $(AGENT_STACK)

$(O)/agent/image.bin: $(O)/agent/image.elf
	$(call say,IMAGE,$@)objcopy -O binary $< $@

$(O)/obj/agent/image.o: src/agent/image.S $(O)/agent/image.bin
	@mkdir -p $(@D)
	$(call say,AS,$<)$(CC) -DAGENT_IMAGE_FILE='"$(O)/agent/image.bin"' -c -o $@ $<

$(O)/lib/agent.a: $(O)/obj/agent/image.o
	@mkdir -p $(@D)
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^

# Its unit tests map the image in a process of their own.
AGENT_TESTS = $(patsubst tests/unit/agent/%.c,$(O)/tests/unit/agent-%,$(wildcard tests/unit/agent/*.c))
$(AGENT_TESTS): $(O)/tests/unit/agent-%: tests/unit/agent/%.c $(wildcard tests/lib/agent/*.[ch]) \
		$(O)/lib/agent.a
	@mkdir -p $(@D)
	$(call say,TEST,$@)$(CC) $(CPPFLAGS) -Itests -DAGENT_IMAGE_ELF='"$(O)/agent/image.elf"' \
		$(ALL_CFLAGS) -fno-omit-frame-pointer -MMD -MP \
		$(ALL_LDFLAGS) -o $@ $< $(wildcard tests/lib/agent/*.c) $(O)/lib/agent.a -lcheck -lsubunit -lm -lrt
# ---- end of agent

# ---- the HTML page, a constant of lib/report.a
PAGE_SOURCES = src/report/html/page.html src/report/html/page.css \
	       $(patsubst %,src/report/html/%.js,data format query table timeline graph histograms page)

$(O)/report/page.html: scripts/build-page $(PAGE_SOURCES)
	@mkdir -p $(@D)
	$(call say,PAGE,$@)scripts/build-page $(PAGE_SOURCES) >$@.tmp && mv $@.tmp $@

$(O)/obj/report/html_page.o: src/report/html_page.S $(O)/report/page.html
	@mkdir -p $(@D)
	$(call say,AS,$<)$(CC) -DHTML_PAGE_FILE='"$(O)/report/page.html"' -c -o $@ $<

$(O)/lib/report.a: $(O)/obj/report/html_page.o

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

# ---- the program with deadly moments (base/killpoint.h), for tests: the objects that know them, and
# the archives for the rest.
KILLPOINT_SOURCES = $(shell grep -l 'base/killpoint.h' src/*/*.c)
KILLPOINT_OBJECTS = $(KILLPOINT_SOURCES:src/%.c=$(O)/killpoints/obj/%.o)

$(O)/killpoints/obj/%.o: src/%.c
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(CPPFLAGS) -DTRACEALLOC_KILLPOINTS $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/killpoints/tracealloc: $(O)/obj/cli/main.o $(KILLPOINT_OBJECTS) $(call archives,$(NEEDS_cli))
	$(call say,LD,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(O)/obj/cli/main.o $(KILLPOINT_OBJECTS) \
		-Wl,--start-group $(call archives,$(NEEDS_cli)) -Wl,--end-group $(LIBS)

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

e2e-tests: all $(O)/killpoints/tracealloc $(TARGETS_C) $(TARGETS_CXX) $(E2E_TESTS)

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

# ---- manual pages: those of single commands come out of the one of all
$(O)/man/made: man/tracealloc.1 scripts/man-pages $(O)/tracealloc
	@rm -rf $(@D)
	$(call say,MAN,$(@D))scripts/man-pages $(O)/tracealloc man/tracealloc.1 $(@D)
	@touch $@

# ---- what looks at the sources
C_FILES = $(wildcard src/*/*.[ch] tests/*/*.[ch] tests/*/*.cc tests/*/*/*.[ch] tests/*/*/*.cc \
	  scripts/*/*.[ch])

lint: lint-layers lint-format lint-man lint-scripts warnings

lint-layers:
	scripts/lint-layers

lint-format:
	clang-format --dry-run -Werror $(C_FILES)

lint-man: $(O)/man/made
	scripts/lint-man $(O)/tracealloc man/tracealloc.1 man/tracealloc-snapshot.5 \
		src/snapshot/layout.h $(O)/man

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

$(O)/tests/bench/ledger: tests/bench/ledger.c $(call archives,ledger base)
	@mkdir -p $(@D)
	$(call say,BENCH,$@)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -o $@ $< $(call archives,ledger base)

bench: all $(O)/tests/bench/pair $(O)/tests/targets/crowd
	scripts/bench $(O)

COMPLETIONS = bash-completion/completions/tracealloc zsh/site-functions/_tracealloc \
	      fish/vendor_completions.d/tracealloc.fish

install: all $(O)/man/made
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man7
	install -m 755 $(O)/tracealloc $(DESTDIR)$(PREFIX)/bin/tracealloc
	install -d $(addprefix $(DESTDIR)$(PREFIX)/share/,$(dir $(COMPLETIONS)))
	$(foreach c,$(COMPLETIONS),$(O)/tracealloc completion $(firstword $(subst -, ,$(subst /, ,$c))) \
		>$(DESTDIR)$(PREFIX)/share/$c &&) true
	install -m 644 man/tracealloc.1 $(O)/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 man/tracealloc-snapshot.5 $(O)/man/*.5 $(DESTDIR)$(PREFIX)/share/man/man5
	install -m 644 man/tracealloc-tracemalloc.7 $(DESTDIR)$(PREFIX)/share/man/man7

deb:
	scripts/make-deb $(O) $(VERSION)

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/tracealloc $(DESTDIR)$(PREFIX)/share/man/man1/tracealloc*.1 \
		$(DESTDIR)$(PREFIX)/share/man/man5/tracealloc*.5 \
		$(DESTDIR)$(PREFIX)/share/man/man7/tracealloc-tracemalloc.7 \
		$(addprefix $(DESTDIR)$(PREFIX)/share/,$(COMPLETIONS))

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
	@echo 'make deb             a Debian package, $(O)/deb/tracealloc_$(VERSION)_amd64.deb'
	@echo 'make clean          remove $(O)'
	@echo
	@echo 'Variables: O=DIRECTORY (build), CC=clang, CFLAGS=..., WERROR=1, V=1 (whole commands),'
	@echo 'SAN=address,undefined (sanitizers), CHECKS=2 (every internal check), KILLPOINTS=1 (deadly'
	@echo 'moments, for tests: src/base/killpoint.h).'

.PHONY: e2e-tests check check-long long-dependencies lint lint-layers lint-format lint-man lint-scripts warnings
.PHONY: format demo bench install uninstall deb help
