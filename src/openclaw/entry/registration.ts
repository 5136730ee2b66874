/**
 * Where a gateway says what type its entries have, once. All functions of this layer then take and give that type, so that
 * they fit where its own functions were:
 *
 *     declare module "sessiondir/openclaw" {
 *       interface Register {
 *         entry: import("./config/sessions/types.js").SessionEntry;
 *       }
 *     }
 */

/** Empty; a gateway adds `entry`. */
export interface Register {}
