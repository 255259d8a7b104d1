/*
 * Loaded before libfaketime, which sets the clock that pthread_cond_timedwait compares with, and not that of C11's
 * cnd_timedwait, which glibc carries out without calling it. librdkafka waits with the latter: with the clock an hour
 * ahead each of its waits of a second would take an hour, which no real clock does.
 */
#include <errno.h>
#include <pthread.h>
#include <threads.h>

int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until) {
    /* glibc's own types of both kinds are the same. */
    switch (pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until)) {
    case 0: return thrd_success;
    case ETIMEDOUT: return thrd_timedout;
    default: return thrd_error;
    }
}
