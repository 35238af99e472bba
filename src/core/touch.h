// SPDX-License-Identifier: Apache-2.0
/*
 * Which objects a step looks at. A decision depends on the facts of one deployment or standalone
 * container, on those of its instances, and on the time; so whoever changes a fact touches its
 * object, a deadline that has come touches it as well, and the others are left alone: a step costs
 * what changed, not what there is. The simulation proves that nothing is overlooked, by touching
 * everything after a step and finding that nothing follows.
 */
#ifndef ZL_CORE_TOUCH_H
#define ZL_CORE_TOUCH_H

#include "core/model.h"

/* Each also asks for one more walk (c->changed). An instance touches who owns it. */
void touch_instance(struct core *c, struct instance *i);
void touch_deployment(struct core *c, struct deployment *d);
void touch_standalone(struct core *c, struct standalone *a);
void touch_all(struct core *c);
/* Those whose deadline has come */
void touch_due(struct core *c);

/* It is about to be buried: nobody looks at it any more. */
void untouch_instance(struct core *c, struct instance *i);
void untouch_deployment(struct core *c, struct deployment *d);
void untouch_standalone(struct core *c, struct standalone *a);

/* The end of a step: deadlines of what was touched, and nothing is touched any more. */
void touch_done(struct core *c);

#endif
