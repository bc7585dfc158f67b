/*
 * stingy.h: a cache slab for the per-task objects of an event-driven server in C.
 *
 * The names are those of "Memory-Manager/Scheduler Co-Design" (Bhatia, Consel, Lawall; ISMM 2006). Sites and
 * stages are numbers of a memory map, which scg-analysis writes; its rewritten servers call these functions.
 *
 *     StingyInitFile("server.map", 0);                        one slab a thread
 *     n = StingyDynCheck(STAGE_PARSE, queued);                for how many tasks is everything there?
 *     for (i = 0; i < n; i++) run(dequeue(STAGE_PARSE));      these call StingyAlloc, which cannot fail
 *     StingyDone();
 *
 * Threads. A thread has a slab from StingyInit to StingyExit or to its end. All functions speak of the slab of
 * the thread that calls, but for StingyFree and StingyOwns, which take objects of every thread's slab. Objects
 * stay valid when their slab is gone, and may then still be freed, by any thread. A thread's slab is dropped
 * early in its end: destructors of pthread_key_create(3) run after that, as on a thread without a slab.
 *
 * A thread without a slab: StingyAlloc returns NULL, StingyDynCheck returns 0, StingyFree works. In each case
 * StingyError() says so.
 *
 * fork(2). Without STINGY_FORK_COPIES the child has no slab, and may call StingyInit for one of its own; it may
 * free objects of its parent, which does nothing, but must not touch them. With STINGY_FORK_COPIES it has a
 * copy of the slab and of all objects, which it uses and frees as its parent does.
 *
 * Signal handlers must not call these functions, as they must not call malloc.
 *
 * `cargo rustc -p stingy-alloc --release --lib --crate-type staticlib,cdylib` makes libstingy_alloc.a, to be
 * linked with -lpthread -lm -ldl, and libstingy_alloc.so, in target/release.
 */
#ifndef STINGY_H
#define STINGY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Flags of StingyInit. The first two are also modes of StingySeal. */
#define STINGY_SEAL_COUNT 1u  /* count each call of malloc in stingy_stats.sealed */
#define STINGY_SEAL_ABORT 2u  /* abort at the first one, with the site's name on stderr */
#define STINGY_FORK_COPIES 4u /* a child made by fork gets a copy of the slab */
#define STINGY_CYCLES 8u      /* take a map in which tasks can wait for each other's objects for ever */
#define STINGY_PLAIN_PAGES 16u /* do not try huge pages */

/* What StingyInit and StingyInitFile return besides 0. */
#define STINGY_ETWICE (-1)  /* this thread has a slab already */
#define STINGY_EFLAGS (-2)  /* unknown flags, or a NULL where there must be a text */
#define STINGY_EFILE (-3)   /* the file cannot be read */
#define STINGY_EMAP (-4)    /* the map is wrong, or does not fit; StingyError() has line and column */
#define STINGY_ECACHE (-5)  /* the cache of this machine is unknown, or larger than a slab can be */
#define STINGY_EMEMORY (-6) /* no memory for the slab, or too many slabs */
#define STINGY_EENDING (-7) /* this thread is ending */
#define STINGY_EBUG (-8)    /* a bug of the library, described on stderr */

/*
 * Makes this thread's slab from the text of a memory map: `len` bytes, without a zero byte at the end. The map
 * is scaled to the L2 cache of the processor that the call runs on. Returns 0 or one of STINGY_E*; then there
 * is no slab, or still the one before.
 */
int StingyInit(const char *map_text, size_t len, unsigned flags);

/* The same with the map in a file. */
int StingyInitFile(const char *path, unsigned flags);

/*
 * What this thread's last failed call says: what is wrong, and the next step. "" if none failed; calls that
 * succeed do not change it. The text stays until the next failure on this thread. Never NULL.
 */
const char *StingyError(void);

/* Drops this thread's slab, if it has one. Objects that are out stay valid. */
void StingyExit(void);

/* The number of the stage, or of the site, of that name; -1 if the map has none, or there is no slab. */
int StingyStage(const char *name);
int StingySite(const char *name);

/*
 * Ends the reservation before it. Then reserves all that up to `n` tasks allocate in `stage`, and returns for
 * how many of them it is there, at most `n`. 0: elect another stage; if no stage is granted any, run a task
 * nevertheless (its objects then come from elsewhere, and are counted), or wait for one to end. A stage that
 * allocates nothing is granted all. For a number that the map does not have it is 0, too, with StingyError().
 */
size_t StingyDynCheck(unsigned stage, size_t n);

/* Ends the reservation: what is left of it can be granted again. */
void StingyDone(void);

/*
 * An object of that site, as large as the map has it and aligned to 64 bytes. Its bytes are as the last object
 * left them. It comes from the reservation if the stage lists the site and has any left; else from what nobody
 * has reserved; else from the high slab; else from malloc(3), aligned as malloc does. The last two are counted,
 * as stingy_stats.no_permit. NULL, with StingyError(), if the map has no such site, the thread no slab, or
 * malloc no memory.
 */
void *StingyAlloc(unsigned site);

/*
 * The same for an object that may be larger than its site: with more than the bytes in the map, `size` bytes of
 * the high slab or of malloc(3), counted as stingy_stats.size_guard and at the site.
 */
void *StingyAllocSize(unsigned site, size_t size);

/*
 * Gives an object back, on any thread; NULL is nothing. What lies in no slab goes to free(3), so that this can
 * take the place of every free. A pointer into a slab at which no object starts (into the middle of one, freed
 * before, or garbage) is named on stderr, and ends the process by abort(3).
 */
void StingyFree(void *object);

/* 1 if it lies where only slabs lie, those of all threads; else 0: it is not of a slab. */
int StingyOwns(const void *object);

/* Counters of a slab. All count from StingyInit on, but for those that say how many there are. */
struct stingy_stats {
    uint64_t slab_bytes;   /* of the cache slab */
    uint64_t live;         /* objects there are, those of malloc excepted */
    uint64_t high_live;    /* of these, objects in the high slab */
    uint64_t granted;      /* objects reserved by StingyDynCheck */
    uint64_t refused;      /* tasks that StingyDynCheck did not grant */
    uint64_t remote_frees; /* objects freed on other threads */
    uint64_t fallbacks;    /* allocations not served by the cache slab: the next two */
    uint64_t size_guard;   /* more bytes than the site has */
    uint64_t no_permit;    /* neither reserved nor free */
    uint64_t no_stage;     /* StingyDynCheck for a stage that the map does not have */
    uint64_t exhausted;    /* StingyDynCheck that granted nothing, as the slab was full */
    uint64_t sealed;       /* calls of malloc while sealed */
    uint64_t plain_pages;  /* 1 if no huge page was to be had */
};

/* Counters of a site. */
struct stingy_site_stats {
    uint64_t size;      /* bytes of an object */
    uint64_t cap;       /* most objects in the cache slab at a time */
    uint64_t live;      /* objects there are */
    uint64_t peak;      /* most there ever were or were reserved at a time */
    uint64_t granted;   /* objects reserved by StingyDynCheck */
    uint64_t refused;   /* tasks not granted as this site was the shortest */
    uint64_t oversized; /* objects that were larger than the site has them */
    uint64_t largest;   /* bytes of the largest of those */
};

/* Reads the counters; all 0 if this thread has no slab. */
void StingyStats(struct stingy_stats *out);

/* Reads the counters of a site. 0, or -1 and all 0 if the map has no such site, or there is no slab. */
int StingySiteStats(unsigned site, struct stingy_site_stats *out);

/*
 * What the slab lies on and its counters, as text for people, in at most `len` bytes with the zero byte at the
 * end. Returns how long the whole text is, as snprintf does; 0 if this thread has no slab.
 */
size_t StingyStatsText(char *buffer, size_t len);

/* From now on this happens when malloc must be called: 0, STINGY_SEAL_COUNT or STINGY_SEAL_ABORT. */
void StingySeal(unsigned mode);

#ifdef __cplusplus
}
#endif

#endif
