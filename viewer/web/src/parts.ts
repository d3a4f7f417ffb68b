import type { Companion, Layer } from "./api";

/** What a raster is for in a translation. */
export type Part = "input" | Companion;

const EARLIER = /(?<![a-z])(before|pre|old|earlier|prior|ref|reference)(?![a-z])/i;
const CLOUDS = /mask|cloud/i;
const SAR = /(?<![a-z])(sar|s1[a-d]?|vv|vh)(?![a-z])/i;
const OPTICAL = /(?<![a-z])(opt|optical|s2[a-d]?|rgb)(?![a-z])/i;

/** What added rasters are for, by their names, dates and bands: the latest SAR image is translated, an older one and an optical
 * image of before are its references, an optical image of its day or later keeps its clear pixels.
 *
 * `current` is what would be translated without them: it stays so beside optical images, and beside one older SAR image of its place. */
export function guessParts(added: Layer[], current: Layer | null): Partial<Record<Part, string>> {
  const masks = added.filter(({ name }) => CLOUDS.test(name));
  const images = added.filter((layer) => !masks.includes(layer)).toSorted(latestFirst);
  const sars = images.filter(isSar);
  const opticals = images.filter((layer) => !isSar(layer));
  const stays = current !== null && !added.includes(current) && isSar(current) && (sars[0] === undefined || (sars.length === 1 && overlap(sars[0], current)));
  const [input] = [...sars, ...(stays ? [current] : [])].toSorted(latestFirst).concat(opticals);
  if (input === undefined) return {};
  const rest = opticals.filter((layer) => layer !== input);
  const today = (layer: Layer) => layer.acquired !== null && input.acquired !== null && layer.acquired.slice(0, 10) >= input.acquired.slice(0, 10);
  const reference = rest.find((layer) => !today(layer));
  const clear = rest.find(today);
  const found: Partial<Record<Part, Layer>> = { input };
  const older = sars.find((layer) => layer !== input);
  if (older !== undefined) found.reference_sar = older;
  if (reference !== undefined) found.reference = reference;
  if (clear !== undefined) found.keep_clear = clear;
  const [mask] = masks;
  if (mask !== undefined && (reference ?? clear) !== undefined) found[reference === undefined ? "keep_clear_mask" : "reference_mask"] = mask;
  return Object.fromEntries(Object.entries(found).map(([part, layer]) => [part, layer.id]));
}

function overlap({ bounds: one }: Layer, { bounds: other }: Layer): boolean {
  return one !== null && other !== null && one[0] < other[2] && other[0] < one[2] && one[1] < other[3] && other[1] < one[3];
}

/** By the name where it says so, else by the bands. */
function isSar({ name, kind }: Layer): boolean {
  const file = name.split("/").pop() ?? name;
  return SAR.test(file) !== OPTICAL.test(file) ? SAR.test(file) : kind === "sar";
}

/** By date where both have one, else by what their names say. */
function latestFirst(one: Layer, other: Layer): number {
  if (one.acquired !== null && other.acquired !== null && one.acquired !== other.acquired) return one.acquired < other.acquired ? 1 : -1;
  return Number(EARLIER.test(one.name)) - Number(EARLIER.test(other.name));
}
