/* What crosses the border between Snaphook and a plugin, for plugins that are not written in Rust. The same structs
 * as `src/abi` of the crate snaphook-plugin-api, whose rules apply. Knows nothing of any host.
 *
 * A plugin is a shared object with two things in it:
 *   - `const snaphook_plugin snaphook_plugin_1`, its entry points;
 *   - SNAPHOOK_MANIFEST("…"), JSON that says what it exports, readable without running the plugin.
 *
 * Rules:
 *   - nothing here gains, loses, moves or renames a member within version 1; growth is a new hook point number, a new
 *     extension id, or a new method of a JSON service. A point that the plugin does not know is answered with OK;
 *   - text going in is valid during the call only; text coming out is put into a sink, in UTF-8;
 *   - no exception and no longjmp leaves a function;
 *   - a hook is constructed, called and closed on one thread, one call at a time. Of the host's functions only those
 *     of snaphook_log_table with a null host may be called from another thread.
 */
#ifndef SNAPHOOK_PLUGIN_H
#define SNAPHOOK_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SNAPHOOK_API_MAJOR 1
#define SNAPHOOK_API_MINOR 0

/* How a call across the border ended. */
enum {
    SNAPHOOK_OK = 0,
    SNAPHOOK_NONE = 1,        /* done; there is no value */
    SNAPHOOK_FAILED = 2,      /* understood and failed; the sink has the reason */
    SNAPHOOK_UNSUPPORTED = 3, /* the other side does not know the thing */
    SNAPHOOK_PANICKED = 4     /* the other side cannot go on; the hook is not called again */
};

/* Log levels; 0 is none. */
enum { SNAPHOOK_ERROR = 1, SNAPHOOK_WARN = 2, SNAPHOOK_INFO = 3, SNAPHOOK_DEBUG = 4, SNAPHOOK_TRACE = 5 };

/* Hook points. */
enum {
    SNAPHOOK_BEFORE_RUN = 0,
    SNAPHOOK_AFTER_RUN = 1,
    SNAPHOOK_BEFORE_TRAIN = 2,
    SNAPHOOK_AFTER_TRAIN = 3,
    SNAPHOOK_BEFORE_VAL = 4,
    SNAPHOOK_AFTER_VAL = 5,
    SNAPHOOK_BEFORE_TEST = 6,
    SNAPHOOK_AFTER_TEST = 7,
    SNAPHOOK_BEFORE_TRAIN_EPOCH = 8,
    SNAPHOOK_AFTER_TRAIN_EPOCH = 9,
    SNAPHOOK_BEFORE_VAL_EPOCH = 10,
    SNAPHOOK_AFTER_VAL_EPOCH = 11,
    SNAPHOOK_BEFORE_TEST_EPOCH = 12,
    SNAPHOOK_AFTER_TEST_EPOCH = 13,
    SNAPHOOK_BEFORE_TRAIN_ITER = 14,
    SNAPHOOK_AFTER_TRAIN_ITER = 15,
    SNAPHOOK_BEFORE_VAL_ITER = 16,
    SNAPHOOK_AFTER_VAL_ITER = 17,
    SNAPHOOK_BEFORE_TEST_ITER = 18,
    SNAPHOOK_AFTER_TEST_ITER = 19,
    SNAPHOOK_BEFORE_SAVE_CHECKPOINT = 20,
    SNAPHOOK_AFTER_SAVE_CHECKPOINT = 21,
    SNAPHOOK_AFTER_LOAD_CHECKPOINT = 22,
    SNAPHOOK_AFTER_BACKWARD = 23,
    SNAPHOOK_BEFORE_OPTIM_STEP = 24,
    SNAPHOOK_AFTER_OPTIM_STEP = 25,
    SNAPHOOK_ON_EXCEPTION = 26,
    SNAPHOOK_FETCH_CHECKPOINT = 27
};

/* UTF-8 of the caller, valid during the call; not terminated. */
typedef struct snaphook_text {
    const uint8_t *ptr;
    size_t len;
} snaphook_text;

/* Where text for the caller goes; each write appends. */
typedef struct snaphook_sink {
    void *state;
    void (*write)(void *state, snaphook_text text);
} snaphook_sink;

/* What a plugin is started with; valid for the rest of the process. */
typedef struct snaphook_host {
    uint32_t api_major;
    uint32_t api_minor;
    /* The table of an extension id, valid for the rest of the process; null when the host lacks it. */
    const void *(*extension)(snaphook_text id);
} snaphook_host;

/* One call of a hook. */
typedef struct snaphook_call {
    uint32_t point;
    uint32_t has_batch_idx;
    uint64_t batch_idx;
    void *host; /* the first argument of the host's functions, during this call, on this thread */
} snaphook_call;

/* What a hook can be asked to do. An error is put as JSON {"kind": "error" or "fatal", "message": …} or as plain text. */
typedef struct snaphook_hook_vtable {
    uint32_t (*call)(void *instance, const snaphook_call *call, snaphook_sink why);
    /* Writes the version of the state and puts the state as JSON; OK, NONE (nothing to save) or FAILED. */
    uint32_t (*save_state)(void *instance, uint32_t *version, snaphook_sink state);
    uint32_t (*load_state)(void *instance, uint32_t version, snaphook_text state, snaphook_sink why);
    void (*close)(void *instance);
} snaphook_hook_vtable;

/* A hook; its table is valid for the rest of the process. */
typedef struct snaphook_hook {
    void *instance;
    const snaphook_hook_vtable *vtable;
} snaphook_hook;

/* The entry points of a plugin. */
typedef struct snaphook_plugin {
    uint32_t api_major; /* SNAPHOOK_API_MAJOR */
    uint32_t api_minor; /* SNAPHOOK_API_MINOR */
    /* Called once, first of all. */
    uint32_t (*start)(const snaphook_host *host, snaphook_sink why);
    /* The most verbose level that the host writes; after start and when it changes, on any thread. */
    void (*set_log_level)(uint32_t level);
    /* Builds a hook from a JSON object, which was checked against the manifest's schema; writes `out` when OK. */
    uint32_t (*construct_hook)(snaphook_text type_name, snaphook_text kwargs, snaphook_hook *out, snaphook_sink why);
    /* The table of an extension of the plugin; null when it lacks it. Never a null pointer itself. */
    const void *(*extension)(snaphook_text id);
} snaphook_plugin;

/* Counters of the run. */
typedef struct snaphook_progress {
    uint64_t epoch;
    uint64_t iter;
    uint64_t max_epochs;
    uint64_t max_iters;
    uint64_t epoch_length;
    uint32_t stage; /* 0 nothing yet, 1 training, 2 validation, 3 test */
    uint32_t by_epoch;
} snaphook_progress;

/* "snaphook.progress/1" */
typedef struct snaphook_progress_table {
    void (*read)(void *host, snaphook_progress *out);
} snaphook_progress_table;

/* "snaphook.log/1"; host may be null: outside of a call, on any thread. */
typedef struct snaphook_log_table {
    uint32_t (*level)(void *host);
    void (*write)(void *host, uint32_t level, snaphook_text target, snaphook_text message);
} snaphook_log_table;

/* "snaphook.scalars/1"; statistic: 0 current, 1 mean, 2 min, 3 max, over the last `window` entries, 0 for all. */
typedef struct snaphook_scalars_table {
    void (*add)(void *host, snaphook_text key, double value, uint64_t count);
    void (*add_tensor)(void *host, snaphook_text key, uint64_t tensor);
    uint32_t (*read)(void *host, snaphook_text key, uint32_t statistic, uint64_t window, double *out);
    uint32_t (*learning_rate)(void *host, double *out);
} snaphook_scalars_table;

/* "snaphook.tensors/1"; a tensor is a number that is valid during the call, 0 for none. */
typedef struct snaphook_tensors_table {
    uint64_t (*output)(void *host, snaphook_text name);
    uint32_t (*output_names)(void *host, snaphook_sink names);
    uint32_t (*item)(void *host, uint64_t tensor, double *out, snaphook_sink why);
    uint32_t (*all_finite)(void *host, uint64_t tensor, uint32_t *out, snaphook_sink why);
} snaphook_tensors_table;

/* "snaphook.services/1"; the services and methods are those of the crate's module `services`. */
typedef struct snaphook_services_table {
    /* Puts what the point carries as JSON. */
    uint32_t (*payload)(void *host, uint32_t point, snaphook_sink answer);
    /* Calls a method with a JSON object; puts the answer as JSON, or the reason as plain text. */
    uint32_t (*call)(void *host, snaphook_text service, snaphook_text method, snaphook_text arguments,
                     snaphook_sink answer);
} snaphook_services_table;

/* A literal as a text. */
#define SNAPHOOK_TEXT(literal) ((snaphook_text){(const uint8_t *)(literal), sizeof(literal) - 1})

/* The manifest, once per plugin, at file scope of a C file: the JSON itself, without quotes around it, at most 64 KiB.
 * Its form is in docs/plugins.md. */
#define SNAPHOOK_MANIFEST(...) SNAPHOOK_MANIFEST_TEXT(#__VA_ARGS__)
#define SNAPHOOK_MANIFEST_TEXT(json)                                                                                   \
    extern const snaphook_plugin snaphook_plugin_1;                                                                    \
    __attribute__((used, section(".note.snaphook"), aligned(4))) static const struct {                                 \
        uint32_t owner_length, length, type;                                                                           \
        char owner[12];                                                                                                \
        char description[(sizeof(json) - 1 + 3) / 4 * 4];                                                              \
    } snaphook_manifest_note = {9, sizeof(json) - 1, 0x536e486bu, "Snaphook", json}

#ifdef __cplusplus
}
#endif

#endif
