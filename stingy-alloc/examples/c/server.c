/*
 * An event server in C, without sockets: 4000 requests walk through four stages, and no more objects than the
 * cache has room for are ever alive. server.map says which stage allocates what.
 *
 *     cargo rustc -p stingy-alloc --release --lib --crate-type staticlib
 *     cc -std=c99 -I stingy-alloc/include stingy-alloc/examples/c/server.c \
 *         target/release/libstingy_alloc.a -lpthread -lm -ldl -o server
 *     ./server stingy-alloc/examples/c/server.map
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stingy.h"

/* As in the map; scg-analysis writes these beside it. */
enum { ID_REQUEST, ID_DIR_NAME, ID_REPLY };
enum { ACCEPT, PARSE, LOOKUP, RESPOND, STAGES };

#define DIR_NAME_SIZE 148
#define TASKS 4000

struct request {
    char url[512];
    char head[512];
};

struct reply {
    char text[8192];
};

/* What the server keeps of a task from one stage to the next. */
struct task {
    struct task *next;
    unsigned number;
    struct request *request;
    char *dir_name;
    struct reply *reply;
};

/* One queue a stage, first in, first out. */
struct queue {
    struct task *first, **last;
    size_t length;
};

static struct queue queues[STAGES];
static size_t finished, long_names, bytes;

static void enqueue(int stage, struct task *task)
{
    task->next = NULL;
    *queues[stage].last = task;
    queues[stage].last = &task->next;
    queues[stage].length++;
}

static struct task *dequeue(int stage)
{
    struct task *task = queues[stage].first;
    queues[stage].first = task->next;
    if (task->next == NULL)
        queues[stage].last = &queues[stage].first;
    queues[stage].length--;
    return task;
}

static void accept_request(struct task *task)
{
    struct request *request = StingyAlloc(ID_REQUEST);
    assert(request != NULL);
    /* One name in a hundred is longer than its site. */
    int width = task->number % 100 == 0 ? 200 : 20;
    snprintf(request->url, sizeof request->url, "/%0*u/index.html", width, task->number);
    snprintf(request->head, sizeof request->head, "Host: localhost");
    task->request = request;
    enqueue(PARSE, task);
}

static void parse(struct task *task)
{
    const char *url = task->request->url;
    size_t tmp = (size_t)(strrchr(url, '/') - url);
    if (tmp <= DIR_NAME_SIZE) {
        task->dir_name = StingyAlloc(ID_DIR_NAME);
    } else {
        task->dir_name = malloc(tmp + 1);
        long_names++;
    }
    assert(task->dir_name != NULL);
    memcpy(task->dir_name, url, tmp);
    task->dir_name[tmp] = '\0';
    enqueue(LOOKUP, task);
}

static void lookup(struct task *task)
{
    struct reply *reply = StingyAlloc(ID_REPLY);
    assert(reply != NULL);
    snprintf(reply->text, sizeof reply->text, "HTTP/1.1 200 OK\r\n\r\n%u is in %s", task->number,
             task->dir_name);
    StingyFree(task->dir_name); /* of the slab or of malloc */
    task->reply = reply;
    enqueue(RESPOND, task);
}

static void respond(struct task *task)
{
    bytes += strlen(task->reply->text);
    StingyFree(task->reply);
    StingyFree(task->request);
    finished++;
}

static void (*const run[STAGES])(struct task *) = {accept_request, parse, lookup, respond};

/* Round robin. A stage runs as many of its tasks as have all they allocate; the others wait. */
static void schedule(void)
{
    while (finished < TASKS) {
        size_t before = finished, ran = 0;
        for (int stage = 0; stage < STAGES; stage++) {
            size_t granted = StingyDynCheck((unsigned)stage, queues[stage].length);
            for (size_t i = 0; i < granted; i++)
                run[stage](dequeue(stage));
            ran += granted;
        }
        StingyDone();
        assert(ran > 0 && finished >= before);
    }
}

int main(int argc, char **argv)
{
    static struct task tasks[TASKS];
    if (argc != 2) {
        fprintf(stderr, "usage: %s MAP\n", argv[0]);
        return 2;
    }
    if (StingyInitFile(argv[1], 0) != 0) {
        fprintf(stderr, "%s\n", StingyError());
        return 1;
    }
    StingySeal(STINGY_SEAL_COUNT);
    for (int stage = 0; stage < STAGES; stage++)
        queues[stage].last = &queues[stage].first;
    for (unsigned i = 0; i < TASKS; i++) {
        tasks[i].number = i;
        enqueue(ACCEPT, &tasks[i]);
    }
    schedule();

    struct stingy_stats stats;
    StingyStats(&stats);
    printf("%zu tasks, %zu bytes, %zu long names, %llu objects granted, %llu fallbacks, %llu live\n", finished, bytes,
           long_names, (unsigned long long)stats.granted, (unsigned long long)stats.fallbacks,
           (unsigned long long)stats.live);
    assert(stats.fallbacks == 0 && stats.sealed == 0 && stats.live == 0);
    StingyExit();
    return 0;
}
