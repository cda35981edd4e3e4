/* SPDX-License-Identifier: MIT */
/* What the agent records of calls: each role, each result, calls inside calls. */
#include <check.h>
#include <setjmp.h>
#include <stdlib.h>

#include "lib/agent/rig.h"

/* What the next call of a fake allocator function gives, and what its inner call is of. */
static void *next_result;
static int next_status;
static void *(*inner_create)(size_t size);
static void (*inner_release)(void *address);
static void (*in_the_middle)(void);

static __attribute__((noinline)) void *fake_create(size_t size)
{
	__asm__ volatile("" : : "r"(size));
	return next_result;
}

static __attribute__((noinline)) void *fake_calloc(size_t count, size_t size)
{
	__asm__ volatile("" : : "r"(size), "r"(count));
	return next_result;
}

static __attribute__((noinline)) int fake_store(void **result, size_t alignment, size_t size)
{
	__asm__ volatile("" : : "r"(alignment), "r"(size));
	if (next_status == 0)
		*result = next_result;
	return next_status;
}

static __attribute__((noinline)) void fake_release(void *address)
{
	__asm__ volatile("" : : "r"(address));
}

static __attribute__((noinline)) void *fake_resize(void *old, size_t size)
{
	__asm__ volatile("" : : "r"(old), "r"(size));
	return next_result;
}

static __attribute__((noinline)) void *create_by_inner(size_t size)
{
	void *result = inner_create(size + 16);
	__asm__ volatile("" : : "r"(result));
	return result;
}

static __attribute__((noinline)) void *resize_by_inner(void *old, size_t size)
{
	if (in_the_middle)
		in_the_middle();
	void *result = inner_create(size);
	inner_release(old);
	return result;
}

static __attribute__((noinline)) void release_by_inner(void *address)
{
	inner_release(address);
	__asm__ volatile("" ::: "memory");
}

static __attribute__((naked)) void *create_by_tail_call(size_t size __attribute__((unused)))
{
	__asm__ volatile("jmp *inner_create_of_tail_call(%rip)");
}
__attribute__((used)) void *inner_create_of_tail_call;

/* The stubs that the tests call. */
struct calls {
	struct rig rig;
	struct rig_records records;
	void *(*create)(size_t size);
	void *(*create_nested)(size_t size);
	void *(*create_tail)(size_t size);
	void *(*create_slow)(size_t size); /* not leaf */
	void *(*create_many)(size_t count, size_t size);
	void *(*create_node)(size_t any);
	void *(*create_eights)(size_t count);
	void *(*hide)(size_t size);
	void *(*hide_tail)(size_t size);
	int (*store)(void **result, size_t alignment, size_t size);
	void (*release)(void *address);
	void (*release_nested)(void *address);
	void *(*resize)(void *old, size_t size);
	void *(*resize_nested)(void *old, size_t size);
};

static void set_up(struct calls *calls)
{
	*calls = (struct calls){0};
	rig_create(&calls->rig);
#define STUB(...) rig_stub(&calls->rig, &(struct rig_function){__VA_ARGS__})
	calls->create =
		STUB(AGENT_CREATE, .leaf = true, .size_argument = 1, .function = fake_create);
	calls->create_slow = STUB(AGENT_CREATE, .size_argument = 1, .function = fake_create);
	calls->create_nested = STUB(AGENT_CREATE, .size_argument = 1, .function = create_by_inner);
	calls->create_tail =
		STUB(AGENT_CREATE, .size_argument = 1, .function = create_by_tail_call);
	calls->create_many = STUB(AGENT_CREATE, .leaf = true, .count_argument = 1,
				  .size_argument = 2, .function = fake_calloc);
	calls->create_node = STUB(AGENT_CREATE, .size_constant = 48, .function = create_by_inner);
	calls->create_eights =
		STUB(AGENT_CREATE, .size_constant = 8, .size_argument = 1, .function = fake_create);
	calls->hide = STUB(AGENT_HIDE, .function = create_by_inner);
	calls->hide_tail = STUB(AGENT_HIDE, .function = create_by_tail_call);
	calls->store = STUB(AGENT_CREATE, .leaf = true, .result = AGENT_STORES_ADDRESS,
			    .size_argument = 3, .result_argument = 1, .function = fake_store);
	calls->release =
		STUB(AGENT_RELEASE, .leaf = true, .pointer_argument = 1, .function = fake_release);
	calls->release_nested =
		STUB(AGENT_RELEASE, .pointer_argument = 1, .function = release_by_inner);
	calls->resize = STUB(AGENT_RESIZE, .pointer_argument = 1, .size_argument = 2,
			     .function = fake_resize);
	calls->resize_nested = STUB(AGENT_RESIZE, .pointer_argument = 1, .size_argument = 2,
				    .function = resize_by_inner);
#undef STUB
	inner_create = calls->create;
	inner_create_of_tail_call = (void *)calls->create;
	inner_release = calls->release;
	in_the_middle = NULL;
}

static void *block(uint64_t address)
{
	return (void *)(uintptr_t)address;
}

static void tear_down(struct calls *calls)
{
	rig_destroy(&calls->rig);
	free(calls->records.items);
}

/* What is read must be these records, in this order. */
static void expect(struct calls *calls, const enum ring_kind *kinds, size_t count)
{
	calls->records.count = 0;
	rig_read(&calls->rig, &calls->records);
	ck_assert_uint_eq(calls->records.count, count);
	for (size_t i = 0; i < count; i++)
		ck_assert_int_eq(calls->records.items[i].kind, kinds[i]);
}
#define EXPECT(calls, ...)                                                                         \
	expect(calls, (const enum ring_kind[]){__VA_ARGS__},                                       \
	       sizeof((const enum ring_kind[]){__VA_ARGS__}) / sizeof(enum ring_kind))
#define EXPECT_NOTHING(calls) expect(calls, NULL, 0)

static const struct rig_record *record(const struct calls *calls, size_t i)
{
	return &calls->records.items[i];
}

/* The caller is the test itself, whose frame pointer leads on to its callers. */
static __attribute__((always_inline)) inline void expect_my_stack(const struct rig_record *record)
{
	const uint64_t *frame = __builtin_frame_address(0);
	uint64_t my_start = (uint64_t)__builtin_extract_return_addr(__builtin_return_address(0));
	ck_assert_uint_ge(record->frame_count, 2);
	ck_assert_uint_eq(record->frames[1], frame[1]);
	ck_assert_uint_eq(record->frames[1], my_start);
}

START_TEST(a_creation_has_its_size_address_and_stack)
{
	struct calls calls;
	set_up(&calls);
	next_result = block(0x7f0012345670);
	ck_assert_ptr_eq(calls.create(1234), next_result);
	ck_assert_ptr_eq(calls.create_slow(99), next_result);
	EXPECT(&calls, RING_CREATE, RING_CREATE);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_uint_eq(record(&calls, i)->address, 0x7f0012345670);
		ck_assert_uint_eq(record(&calls, i)->size_bytes, i ? 99 : 1234);
		expect_my_stack(record(&calls, i));
	}
	tear_down(&calls);
}
END_TEST

START_TEST(a_refused_creation_has_its_size_and_no_address)
{
	struct calls calls;
	set_up(&calls);
	next_result = NULL;
	ck_assert_ptr_null(calls.create(1ul << 50));
	EXPECT(&calls, RING_FAILED);
	ck_assert_uint_eq(record(&calls, 0)->size_bytes, 1ul << 50);
	expect_my_stack(record(&calls, 0));
	tear_down(&calls);
}
END_TEST

START_TEST(sizes_are_whole_up_to_the_largest)
{
	struct calls calls;
	set_up(&calls);
	next_result = block(4096);
	static const uint64_t sizes[] = {
		0, 1, (1ul << 40) - 1, 1ul << 40, (1ul << 40) + 1, 1ul << 63, UINT64_MAX};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		calls.create(sizes[i]);
	rig_read(&calls.rig, &calls.records);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		ck_assert_uint_eq(record(&calls, i)->size_bytes, sizes[i]);
	tear_down(&calls);
}
END_TEST

START_TEST(a_size_is_multiplied_by_its_count_and_saturates)
{
	struct calls calls;
	set_up(&calls);
	next_result = block(4096);
	calls.create_many(12, 100);
	calls.create_many(1ul << 32, 1ul << 32);
	next_result = NULL;
	calls.create_many(UINT64_MAX, 2);
	EXPECT(&calls, RING_CREATE, RING_CREATE, RING_FAILED);
	ck_assert_uint_eq(record(&calls, 0)->size_bytes, 1200);
	ck_assert_uint_eq(record(&calls, 1)->size_bytes, UINT64_MAX);
	ck_assert_uint_eq(record(&calls, 2)->size_bytes, UINT64_MAX);
	tear_down(&calls);
}
END_TEST

START_TEST(a_constant_is_a_factor_of_the_size)
{
	struct calls calls;
	set_up(&calls);
	next_result = block(4096);
	calls.create_node(7);
	calls.create_eights(7);
	calls.create_eights(1ul << 61);
	EXPECT(&calls, RING_CREATE, RING_CREATE, RING_CREATE);
	ck_assert_uint_eq(record(&calls, 0)->size_bytes, 48);
	ck_assert_uint_eq(record(&calls, 1)->size_bytes, 56);
	ck_assert_uint_eq(record(&calls, 2)->size_bytes, UINT64_MAX);
	tear_down(&calls);
}
END_TEST

START_TEST(a_call_that_hides_others_is_not_seen_itself)
{
	struct calls calls;
	set_up(&calls);
	next_result = block(0x2000);
	calls.hide(10);
	calls.hide_tail(10);
	EXPECT_NOTHING(&calls);
	calls.create(1);
	EXPECT(&calls, RING_CREATE);
	tear_down(&calls);
}
END_TEST

START_TEST(a_stored_address_is_read_where_the_call_succeeded)
{
	struct calls calls;
	set_up(&calls);
	void *result = block(77);
	next_result = block(0x5000);
	next_status = 0;
	ck_assert_int_eq(calls.store(&result, 64, 321), 0);
	next_status = 12;
	ck_assert_int_eq(calls.store(&result, 64, 654), 12);
	EXPECT(&calls, RING_CREATE, RING_FAILED);
	ck_assert_uint_eq(record(&calls, 0)->address, 0x5000);
	ck_assert_uint_eq(record(&calls, 0)->size_bytes, 321);
	ck_assert_uint_eq(record(&calls, 1)->size_bytes, 654);
	tear_down(&calls);
}
END_TEST

START_TEST(a_release_has_its_address_whatever_it_is)
{
	struct calls calls;
	set_up(&calls);
	calls.release(block(0x7f0000001000));
	calls.release(NULL);
	calls.release(block(0xdeadbeefdeadbeef));
	EXPECT(&calls, RING_RELEASE, RING_RELEASE, RING_RELEASE);
	ck_assert_uint_eq(record(&calls, 0)->address, 0x7f0000001000);
	ck_assert_uint_eq(record(&calls, 1)->address, 0);
	ck_assert_uint_eq(record(&calls, 2)->address, (1ul << 47) - 1);
	tear_down(&calls);
}
END_TEST

START_TEST(a_release_from_the_allocators_own_module_has_its_stack)
{
	struct calls calls;
	set_up(&calls);
	uint8_t *here = (uint8_t *)a_release_from_the_allocators_own_module_has_its_stack_fn;
	void (*release)(void *) =
		rig_stub(&calls.rig, &(struct rig_function){.role = AGENT_RELEASE,
							    .leaf = true,
							    .pointer_argument = 1,
							    .function = fake_release,
							    .module_start = here,
							    .module_end = here + 8192});
	release(block(0x1000));
	EXPECT(&calls, RING_RELEASE_INNER);
	ck_assert_uint_eq(record(&calls, 0)->address, 0x1000);
	ck_assert_uint_eq(record(&calls, 0)->size_bytes, 0);
	expect_my_stack(record(&calls, 0));
	tear_down(&calls);
}
END_TEST

START_TEST(a_resize_begins_and_ends)
{
	struct calls calls;
	set_up(&calls);
	next_result = block(0x2000);
	ck_assert_ptr_eq(calls.resize(block(0x1000), 55), next_result);
	EXPECT(&calls, RING_RESIZE_BEGIN, RING_RESIZE_END);
	ck_assert_uint_eq(record(&calls, 0)->address, 0x1000);
	ck_assert_uint_eq(record(&calls, 1)->address, 0x1000);
	ck_assert_uint_eq(record(&calls, 1)->new_address, 0x2000);
	ck_assert_uint_eq(record(&calls, 1)->size_bytes, 55);
	expect_my_stack(record(&calls, 1));
	tear_down(&calls);
}
END_TEST

START_TEST(a_resize_of_nothing_is_a_creation)
{
	struct calls calls;
	set_up(&calls);
	next_result = block(0x2000);
	calls.resize(NULL, 55);
	next_result = NULL;
	calls.resize(NULL, 66);
	EXPECT(&calls, RING_CREATE, RING_FAILED);
	ck_assert_uint_eq(record(&calls, 0)->address, 0x2000);
	ck_assert_uint_eq(record(&calls, 1)->size_bytes, 66);
	tear_down(&calls);
}
END_TEST

START_TEST(a_resize_that_gives_nothing_was_refused_or_a_release)
{
	struct calls calls;
	set_up(&calls);
	next_result = NULL;
	calls.resize(block(0x1000), 55);
	calls.resize(block(0x3000), 0);
	EXPECT(&calls, RING_RESIZE_BEGIN, RING_RESIZE_END, RING_RESIZE_BEGIN, RING_RESIZE_RELEASED);
	ck_assert_uint_eq(record(&calls, 1)->new_address, 0);
	ck_assert_uint_eq(record(&calls, 1)->size_bytes, 55);
	ck_assert_uint_eq(record(&calls, 3)->address, 0x3000);
	tear_down(&calls);
}
END_TEST

START_TEST(calls_inside_calls_are_not_seen)
{
	struct calls calls;
	set_up(&calls);
	next_result = block(0x2000);
	calls.create_nested(10);
	calls.create_tail(20);
	calls.release_nested(block(0x1000));
	calls.resize_nested(block(0x3000), 30);
	EXPECT(&calls, RING_CREATE, RING_CREATE, RING_RELEASE, RING_RESIZE_BEGIN, RING_RESIZE_END);
	ck_assert_uint_eq(record(&calls, 0)->size_bytes, 10);
	ck_assert_uint_eq(record(&calls, 1)->size_bytes, 20);
	ck_assert_uint_eq(record(&calls, 2)->address, 0x1000);
	ck_assert_uint_eq(record(&calls, 4)->size_bytes, 30);
	/* Once more with the bounds of the stack known. */
	rig_tell_bounds(&calls.rig);
	calls.create_nested(10);
	calls.create_tail(20);
	calls.release_nested(block(0x1000));
	calls.resize_nested(block(0x3000), 30);
	EXPECT(&calls, RING_CREATE, RING_CREATE, RING_RELEASE, RING_RESIZE_BEGIN, RING_RESIZE_END);
	calls.create(1);
	EXPECT(&calls, RING_CREATE);
	tear_down(&calls);
}
END_TEST

static jmp_buf way_out;

static void jump_out(void)
{
	longjmp(way_out, 1);
}

/* So deep that what a call has left on the stack is not written over by what follows further up. */
static __attribute__((noinline)) void leave_from_below(struct calls *calls, int frames)
{
	volatile char room[512];
	room[0] = 0;
	if (frames)
		leave_from_below(calls, frames - 1);
	else
		calls->resize_nested(block(0x1000), 30);
	room[1] = room[0];
}

static void leave_a_resize(bool bounds, int frames)
{
	struct calls calls;
	set_up(&calls);
	calls.create(1);
	if (bounds)
		rig_tell_bounds(&calls.rig);
	rig_forget(&calls.rig, &calls.records);
	in_the_middle = jump_out;
	if (setjmp(way_out) == 0)
		leave_from_below(&calls, frames);
	EXPECT(&calls, RING_RESIZE_BEGIN);
	next_result = block(0x2000);
	/* Whatever way back it takes: what follows is seen, and the resize is cancelled in time. */
	rig_tell_bounds(&calls.rig);
	in_the_middle = NULL;
	leave_from_below(&calls, frames);
	calls.create(5);
	calls.records.count = 0;
	rig_read(&calls.rig, &calls.records);
	ck_assert_uint_eq(rig_count(&calls.records, RING_RESIZE_CANCELLED), 1);
	ck_assert_uint_eq(rig_count(&calls.records, RING_RESIZE_BEGIN), 1);
	ck_assert_uint_eq(rig_count(&calls.records, RING_RESIZE_END), 1);
	ck_assert_uint_eq(rig_count(&calls.records, RING_CREATE), 1);
	ck_assert_uint_eq(rig_area(&calls.rig, 0)->outer_sp, 0);
	tear_down(&calls);
}

START_TEST(a_call_that_was_left_does_not_hide_others)
{
	leave_a_resize(true, 0);
}
END_TEST

START_TEST(a_call_that_was_left_deep_below_does_not_hide_others)
{
	leave_a_resize(true, 20);
}
END_TEST

START_TEST(a_call_that_was_left_on_an_unknown_stack_does_not_hide_others)
{
	leave_a_resize(false, 0);
}
END_TEST

START_TEST(an_agent_that_is_off_records_nothing)
{
	struct calls calls;
	set_up(&calls);
	calls.rig.private->state = AGENT_OFF;
	next_result = block(0x2000);
	ck_assert_ptr_eq(calls.create(10), next_result);
	ck_assert_ptr_eq(calls.resize(block(0x1000), 10), next_result);
	ck_assert_ptr_eq(calls.create_nested(10), next_result);
	calls.release(next_result);
	EXPECT_NOTHING(&calls);
	ck_assert_uint_eq(calls.rig.shared->lost, 0);
	ck_assert_int_eq(rig_my_area(&calls.rig), -1);
	tear_down(&calls);
}
END_TEST

START_TEST(an_agent_that_gave_up_counts)
{
	struct calls calls;
	set_up(&calls);
	calls.rig.private->state = AGENT_GAVE_UP;
	next_result = block(0x2000);
	ck_assert_ptr_eq(calls.create(10), next_result);
	ck_assert_ptr_eq(calls.create_nested(10), next_result);
	calls.release(next_result);
	ck_assert_ptr_eq(calls.resize(block(0x1000), 10), next_result);
	ck_assert_uint_eq(calls.rig.shared->lost, 5);
	EXPECT_NOTHING(&calls);
	tear_down(&calls);
}
END_TEST

static Suite *calls_suite(void)
{
	Suite *suite = suite_create("agent calls");
	TCase *tests = tcase_create("calls");
	tcase_add_test(tests, a_creation_has_its_size_address_and_stack);
	tcase_add_test(tests, a_refused_creation_has_its_size_and_no_address);
	tcase_add_test(tests, sizes_are_whole_up_to_the_largest);
	tcase_add_test(tests, a_size_is_multiplied_by_its_count_and_saturates);
	tcase_add_test(tests, a_constant_is_a_factor_of_the_size);
	tcase_add_test(tests, a_call_that_hides_others_is_not_seen_itself);
	tcase_add_test(tests, a_stored_address_is_read_where_the_call_succeeded);
	tcase_add_test(tests, a_release_has_its_address_whatever_it_is);
	tcase_add_test(tests, a_release_from_the_allocators_own_module_has_its_stack);
	tcase_add_test(tests, a_resize_begins_and_ends);
	tcase_add_test(tests, a_resize_of_nothing_is_a_creation);
	tcase_add_test(tests, a_resize_that_gives_nothing_was_refused_or_a_release);
	tcase_add_test(tests, calls_inside_calls_are_not_seen);
	tcase_add_test(tests, a_call_that_was_left_does_not_hide_others);
	tcase_add_test(tests, a_call_that_was_left_deep_below_does_not_hide_others);
	tcase_add_test(tests, a_call_that_was_left_on_an_unknown_stack_does_not_hide_others);
	tcase_add_test(tests, an_agent_that_is_off_records_nothing);
	tcase_add_test(tests, an_agent_that_gave_up_counts);
	suite_add_tcase(suite, tests);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(calls_suite());
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
