// SPDX-License-Identifier: Apache-2.0
/*
 * Documents without text: specs that are put together by hand, so that the tests of core/ need no
 * parser. Stands in for spec_ref(), spec_unref() and spec_condition_name() of src/spec.
 */
#ifndef ZL_TESTS_SIM_DOC_H
#define ZL_TESTS_SIM_DOC_H

#include "spec/spec.h"

enum { DOC_SERVICES = 8, DOC_DEPENDS = 4 };

/* A document with one reference. Services are copied, with their depends (at most DOC_DEPENDS) and
 * the hashes worked out; all other strings have to be literals. */
struct spec *doc_new(const char *deployment, const struct spec_service *services, size_t n);

/* A service with the defaults of a document: no check, restarts, stop grace 30 s. */
struct spec_service doc_service(const char *name, const char *image, uint32_t replicas);
/* With a tcp check: grace 5 s, interval 10 s, timeout 5 s, 3 retries. */
struct spec_service doc_checked(const char *name, const char *image, uint32_t replicas);
struct spec_service doc_job(const char *name, const char *image);
/* options NULL: the default ones; else borrowed for as long as documents live. */
struct spec_service doc_cron(const char *name, const char *image, const char *schedule,
                             const struct spec_schedule_options *options);

/* How many documents are alive, in all of the process: none may be left at the end of a test. */
size_t doc_live(void);

#endif
