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

struct core;
struct deployment;
struct instance;
struct standalone;

/* Each also asks for one more walk (c->changed). An instance touches who owns it. */
void touch_instance(struct core *c, struct instance *i);
void touch_deployment(struct core *c, struct deployment *d);
void touch_standalone(struct core *c, struct standalone *a);
void touch_all(struct core *c);
/* Those whose deadline has come */
void touch_due(struct core *c);

/* Nobody looks at it any more, until it is touched again. */
void untouch_instance(struct core *c, struct instance *i);
void untouch_deployment(struct core *c, struct deployment *d);
void untouch_standalone(struct core *c, struct standalone *a);

#endif
