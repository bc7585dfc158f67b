/* What does a C program get for each thing that it can do wrong, and for what it does right? A case a run:
 * `cases NAME FOLDER`, where the folder has the maps. A case that fails says where and exits with 1. */
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stingy.h"

#define CHECK(what)                                                                                    \
    do {                                                                                               \
        if (!(what)) {                                                                                 \
            fprintf(stderr, "line %d: %s; last error: %s\n", __LINE__, #what, StingyError());          \
            exit(1);                                                                                   \
        }                                                                                              \
    } while (0)

enum { REQUEST, REPLY };
enum { PARSE, RESPOND, LOG };

static const char *folder;

static const char *file(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void init(unsigned flags)
{
    CHECK(StingyInitFile(file("good.map"), flags | STINGY_PLAIN_PAGES) == 0);
}

static struct stingy_stats stats(void)
{
    struct stingy_stats stats;
    StingyStats(&stats);
    return stats;
}

static size_t cap(unsigned site)
{
    struct stingy_site_stats of_site;
    CHECK(StingySiteStats(site, &of_site) == 0);
    return (size_t)of_site.cap;
}

static int says(const char *part)
{
    return strstr(StingyError(), part) != NULL;
}

static void *object(void)
{
    void *object = StingyAlloc(REQUEST);
    CHECK(object != NULL && StingyOwns(object) && (uintptr_t)object % 64 == 0);
    return object;
}

static void *free_it(void *object)
{
    StingyFree(object);
    return NULL;
}

static void elsewhere(void *(*work)(void *), void *with)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, work, with) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

/* Misuse: each of these ends by abort. */

static void double_free(void)
{
    init(0);
    void *twice = object();
    StingyFree(twice);
    StingyFree(twice);
}

static void free_of_an_interior_line(void)
{
    init(0);
    StingyFree((char *)object() + 64);
}

static void free_of_an_interior_byte(void)
{
    init(0);
    StingyFree((char *)object() + 8);
}

static void free_of_a_slot_never_handed_out(void)
{
    init(0);
    StingyFree((char *)object() + 1024);
}

static void free_here_after_a_free_elsewhere(void)
{
    init(0);
    void *twice = object();
    elsewhere(free_it, twice);
    StingyFree(twice);
}

static void double_free_elsewhere(void)
{
    init(0);
    void *twice = object();
    elsewhere(free_it, twice);
    elsewhere(free_it, twice);
}

static void double_free_after_exit(void)
{
    init(0);
    void *twice = object(), *other = object();
    StingyExit();
    StingyFree(twice);
    CHECK(StingyOwns(other));
    StingyFree(twice);
}

static void free_into_a_slab_that_is_gone(void)
{
    init(0);
    void *gone = object();
    StingyFree(gone);
    StingyExit();
    StingyFree(gone);
}

static void double_free_in_the_high_slab(void)
{
    init(0);
    void *twice = StingyAllocSize(REQUEST, 5000);
    CHECK(StingyOwns(twice) && stats().high_live == 1);
    StingyFree(twice);
    StingyFree(twice);
}

static void init_shared(void)
{
    CHECK(StingyInitFile(file("shared.map"), STINGY_PLAIN_PAGES) == 0);
}

static void double_free_in_a_shared_region(void)
{
    init_shared();
    void *twice = object();
    StingyFree(twice);
    StingyFree(twice);
}

static void sealed_abort(void)
{
    init(STINGY_SEAL_ABORT);
    StingyAllocSize(REPLY, 64 << 20);
}

/* What works, or is an error. */

static void frees_that_are_none_of_a_slab(void)
{
    StingyFree(NULL);
    StingyFree(malloc(100));
    init(0);
    StingyFree(NULL);
    void *block = malloc(100);
    CHECK(block != NULL && !StingyOwns(block) && !StingyOwns(NULL));
    StingyFree(block);
    CHECK(stats().live == 0);
}

static void frees_on_another_thread(void)
{
    init(0);
    size_t all = cap(REQUEST);
    CHECK(StingyDynCheck(PARSE, all) == all);
    void **objects = malloc(all * sizeof *objects);
    CHECK(objects != NULL);
    for (size_t i = 0; i < all; i++)
        objects[i] = object();
    CHECK(StingyDynCheck(PARSE, 1) == 0 && stats().exhausted == 1);
    for (size_t i = 0; i < all; i++)
        elsewhere(free_it, objects[i]);
    CHECK(StingyDynCheck(PARSE, all) == all);
    CHECK(stats().live == 0 && stats().remote_frees == all && stats().fallbacks == 0);
    /* Without a reservation, too, they are taken in before anything else is asked. */
    StingyDone();
    for (size_t i = 0; i < all; i++)
        objects[i] = object();
    elsewhere(free_it, objects[0]);
    objects[0] = object();
    CHECK(stats().live == all && stats().remote_frees == all + 1 && stats().fallbacks == 0);
    free(objects);
}

static void without_init(void)
{
    CHECK(*StingyError() == '\0');
    CHECK(StingyAlloc(REQUEST) == NULL && says("no slab") && says("StingyInit"));
    CHECK(StingyAllocSize(REQUEST, 1) == NULL);
    CHECK(StingyDynCheck(PARSE, 1) == 0);
    CHECK(StingyStage("parse") == -1 && StingySite("request") == -1);
    struct stingy_site_stats of_site = {1, 1, 1, 1, 1, 1, 1, 1};
    CHECK(StingySiteStats(REQUEST, &of_site) == -1 && of_site.size == 0);
    CHECK(stats().slab_bytes == 0);
    char text[4] = "abc";
    CHECK(StingyStatsText(text, sizeof text) == 0 && text[0] == '\0');
    StingySeal(0);
    StingyDone();
    StingyExit();
}

static void unknown_names_and_numbers(void)
{
    init(0);
    CHECK(StingyStage("parse") == PARSE && StingySite("reply") == REPLY);
    CHECK(StingyStage("nowhere") == -1 && says("stage `nowhere`"));
    CHECK(StingySite("nothing") == -1 && says("site `nothing`"));
    CHECK(StingySite(NULL) == -1 && says("NULL"));
    CHECK(StingyAlloc(2) == NULL && says("site 2"));
    CHECK(StingyAlloc(65536 + REQUEST) == NULL && says("site 65536"));
    CHECK(StingyAlloc(-1u) == NULL && StingyAllocSize(-1u, 1 << 30) == NULL);
    CHECK(StingyDynCheck(7, 1) == 0 && says("stage 7"));
    CHECK(StingyDynCheck(65536 + PARSE, 1) == 0 && StingyDynCheck(-1u, 1) == 0);
    CHECK(stats().no_stage == 3 && stats().fallbacks == 0);
    StingySeal(64);
    CHECK(says("0x40"));
}

static void maps_and_flags_that_are_refused(void)
{
    CHECK(StingyInitFile(file("bad.map"), 0) == STINGY_EMAP);
    CHECK(says("bad.map: map:4:6: "));
    CHECK(StingyInitFile(file("cycle.map"), 0) == STINGY_EMAP && says("STINGY_CYCLES"));
    CHECK(StingyInitFile(file("none.map"), 0) == STINGY_EFILE && says("none.map"));
    CHECK(StingyInit("scg-map 1\n\xff", 11, 0) == STINGY_EMAP && says("byte 10"));
    CHECK(StingyInit("", 0, 0) == STINGY_EMAP && says("map:1:1: "));
    CHECK(StingyInit(NULL, 0, 0) == STINGY_EFLAGS && StingyInitFile(NULL, 0) == STINGY_EFLAGS);
    CHECK(StingyInitFile(file("good.map"), 32) == STINGY_EFLAGS && says("0x20"));
    CHECK(StingyInitFile(file("good.map"), STINGY_SEAL_COUNT | STINGY_SEAL_ABORT) == STINGY_EFLAGS);
    CHECK(StingyAlloc(REQUEST) == NULL);
    CHECK(StingyInitFile(file("cycle.map"), STINGY_CYCLES | STINGY_PLAIN_PAGES) == 0);
}

static void init_twice(void)
{
    init(0);
    void *first = object();
    CHECK(StingyInitFile(file("good.map"), 0) == STINGY_ETWICE && says("StingyExit"));
    CHECK(stats().live == 1);
    StingyFree(first);
    StingyExit();
    StingyExit();
    init(0);
    StingyFree(object());
}

static void objects_outlive_their_slab(void)
{
    init(0);
    char *here = object(), *there = object();
    StingyExit();
    memset(here, 1, 1000);
    memset(there, 2, 1000);
    CHECK(here[999] == 1 && StingyOwns(here));
    init(0);
    StingyFree(here);
    CHECK(there[999] == 2 && stats().live == 0);
    elsewhere(free_it, there);
}

static pthread_key_t late;
static int late_runs;

static void run_late(void *object)
{
    CHECK(StingyAlloc(REQUEST) == NULL && says("no slab"));
    CHECK(StingyInitFile(file("good.map"), 0) == STINGY_EENDING);
    StingyFree(object);
    StingyFree(malloc(10));
    late_runs++;
}

static void *leave_objects(void *out)
{
    init(0);
    CHECK(StingyDynCheck(PARSE, 2) == 2);
    *(void **)out = object();
    memset(*(void **)out, 7, 1000);
    CHECK(pthread_setspecific(late, object()) == 0);
    return NULL;
}

static void a_thread_that_ends_with_objects(void)
{
    CHECK(pthread_key_create(&late, run_late) == 0);
    char *left = NULL;
    elsewhere(leave_objects, &left);
    CHECK(late_runs == 1 && left[0] == 7 && left[999] == 7);
    init(0);
    StingyFree(left);
    CHECK(stats().live == 0);
}

static void reservations_come_first(void)
{
    init(0);
    size_t all = cap(REQUEST);
    CHECK(StingyDynCheck(PARSE, 2) == 2);
    void *reserved = object();
    /* What others reserved is not there for who has no reservation; the next check ends this one. */
    CHECK(StingyDynCheck(PARSE, all) == all - 1);
    StingyDone();
    CHECK(StingyDynCheck(PARSE, all) == all - 1 && stats().live == 1);
    CHECK(StingyDynCheck(LOG, 12) == 12);
    CHECK(StingyDynCheck(PARSE, 0) == 0);
    CHECK(StingyDynCheck(PARSE, 1) == 1);
    /* One reserved, all but one of the others unreserved, and then the high slab. */
    for (size_t i = 1; i < all; i++)
        object();
    CHECK(stats().fallbacks == 0 && stats().live == all);
    CHECK(StingyAlloc(REQUEST) != NULL && stats().no_permit == 1 && stats().high_live == 1);
    StingyFree(reserved);
    CHECK(StingyDynCheck(PARSE, all) == 1);
}

static void objects_larger_than_their_site(void)
{
    init(STINGY_SEAL_COUNT);
    CHECK(StingyDynCheck(PARSE, 1) == 1);
    char *fits = StingyAllocSize(REQUEST, 1000);
    char *high = StingyAllocSize(REQUEST, 1001);
    char *system = StingyAllocSize(REQUEST, 64 << 20);
    CHECK(fits && StingyOwns(fits) && high && StingyOwns(high) && system && !StingyOwns(system));
    memset(high, 1, 1001);
    memset(system, 1, 64 << 20);
    struct stingy_stats now = stats();
    CHECK(now.size_guard == 2 && now.fallbacks == 2 && now.sealed == 1 && now.high_live == 1);
    struct stingy_site_stats of_site;
    CHECK(StingySiteStats(REQUEST, &of_site) == 0);
    CHECK(of_site.oversized == 2 && of_site.largest == 64 << 20 && of_site.live == 1);
    CHECK(StingyAllocSize(REQUEST, SIZE_MAX) == NULL && says("malloc"));
    StingyFree(fits);
    StingyFree(high);
    free(system);
    CHECK(stats().live == 0);
    StingySeal(0);
    StingyFree(StingyAllocSize(REQUEST, 64 << 20));
    CHECK(stats().sealed == 2);
}

static void sites_that_share_a_region(void)
{
    init_shared();
    size_t tasks = cap(REPLY);
    CHECK(StingyDynCheck(PARSE, tasks) == tasks);
    /* Each task may take two of the one site and one of the other. */
    for (size_t i = 0; i < 2 * tasks; i++)
        StingyFree(object());
    void *reply = StingyAlloc(REPLY);
    CHECK(StingyOwns(reply) && stats().live == 1);
    StingyFree(reply);
    reply = StingyAlloc(REPLY);
    elsewhere(free_it, reply);
    CHECK(StingyDynCheck(PARSE, tasks) == tasks);
    CHECK(stats().live == 0 && stats().fallbacks == 0 && stats().remote_frees == 1);
}

static void counters_as_text(void)
{
    init(0);
    size_t len = StingyStatsText(NULL, 0);
    char *text = malloc(len + 1), part[9];
    CHECK(text != NULL && StingyStatsText(text, len + 1) == len && strlen(text) == len);
    CHECK(strstr(text, "request") != NULL && strstr(text, "size_guard 0") != NULL);
    CHECK(StingyStatsText(part, sizeof part) == len && strlen(part) == 8);
    CHECK(strncmp(part, text, 8) == 0);
    free(text);
}

/* What the child says, by its exit code. */
static void in_child(void (*work)(char *), char *object)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        work(object);
        exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void child_without_slab(char *inherited)
{
    CHECK(StingyAlloc(REQUEST) == NULL && says("no slab") && StingyDynCheck(PARSE, 1) == 0);
    StingyDone();
    StingyFree(inherited);
    init(0);
    StingyFree(object());
    StingyFree(inherited);
    CHECK(StingyDynCheck(PARSE, 1) == 1 && stats().live == 0);
}

static void child_with_slab(char *inherited)
{
    CHECK(inherited[999] == 5 && stats().live == 1);
    void *reserved = object();
    inherited[999] = 6;
    StingyFree(inherited);
    StingyFree(reserved);
    CHECK(StingyDynCheck(PARSE, 1) == 1 && stats().live == 0);
}

static void fork_with(unsigned flags, void (*work)(char *))
{
    init(flags);
    CHECK(StingyDynCheck(PARSE, 3) == 3);
    char *kept = object();
    memset(kept, 5, 1000);
    in_child(work, kept);
    CHECK(kept[999] == 5 && stats().live == 1 && StingyDynCheck(PARSE, 1) == 1);
    StingyFree(object());
    StingyFree(kept);
    CHECK(stats().live == 0 && stats().fallbacks == 0);
}

static void a_child_has_no_slab(void)
{
    fork_with(0, child_without_slab);
}

static void a_child_has_a_copy(void)
{
    fork_with(STINGY_FORK_COPIES, child_with_slab);
}

#define CASE(name) {#name, name}
static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    CASE(double_free),
    CASE(free_of_an_interior_line),
    CASE(free_of_an_interior_byte),
    CASE(free_of_a_slot_never_handed_out),
    CASE(free_here_after_a_free_elsewhere),
    CASE(double_free_elsewhere),
    CASE(double_free_after_exit),
    CASE(free_into_a_slab_that_is_gone),
    CASE(double_free_in_the_high_slab),
    CASE(double_free_in_a_shared_region),
    CASE(sealed_abort),
    CASE(frees_that_are_none_of_a_slab),
    CASE(frees_on_another_thread),
    CASE(without_init),
    CASE(unknown_names_and_numbers),
    CASE(maps_and_flags_that_are_refused),
    CASE(init_twice),
    CASE(objects_outlive_their_slab),
    CASE(a_thread_that_ends_with_objects),
    CASE(reservations_come_first),
    CASE(objects_larger_than_their_site),
    CASE(sites_that_share_a_region),
    CASE(counters_as_text),
    CASE(a_child_has_no_slab),
    CASE(a_child_has_a_copy),
};

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    folder = argv[2];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (strcmp(cases[i].name, argv[1]) == 0) {
            cases[i].run();
            return 0;
        }
    }
    fprintf(stderr, "no case %s\n", argv[1]);
    return 2;
}
