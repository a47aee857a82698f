import { isHit } from "../random/weather.js";
import type { LinkModels } from "./link-models.js";

/**
 * Gilbert-Elliott: a line has good and bad times and may change with each packet, then loses it by the share of the time
 * it is in. Mean share of bad times: toBad / (toBad + toGood); mean length of a bad time: 1 / toGood packets.
 *
 * @see Gilbert 1960, Elliott 1963; netem's `loss gemodel`
 */
export function crossesBurst(isBad: boolean, draw: number, models: LinkModels, model: number): boolean {
  return isBad ? !isHit(draw, models.toGoodPpm[model]!) : isHit(draw, models.toBadPpm[model]!);
}
