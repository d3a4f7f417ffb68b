import { api, type Decibels, type Histogram, type Layer, type Style } from "./api";
import { t } from "./i18n";

const WIDTH = 256;
const HEIGHT = 64;
const SPACE = "http://www.w3.org/2000/svg";

function s(tag: string, attributes: Record<string, string | number>): SVGElement {
  const element = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}

/** The histograms of layers, asked for when they are first wanted. */
export class Histograms {
  private readonly kept = new Map<string, Histogram | null>();

  constructor(
    private readonly fail: (error: unknown) => void,
    private readonly arrived: () => void,
  ) {}

  of(layer: Layer, band: number, decibels: Decibels | null): Histogram | null {
    const key = `${layer.id} ${layer.version} ${band} ${decibels}`;
    const found = this.kept.get(key);
    if (found === undefined) {
      this.kept.set(key, null);
      api
        .histogram(layer.id, band, decibels)
        .then((histogram) => {
          this.kept.set(key, histogram);
          this.arrived();
        })
        .catch(this.fail);
    }
    return found ?? null;
  }
}

/** The share of the pixels that are at least, or at most, as large as a value. */
export function shareOf(histogram: Histogram, value: number, least: boolean): number {
  const { low, high, counts, below, above } = histogram;
  const total = below + above + counts.reduce((sum, count) => sum + count, 0);
  const place = ((value - low) / (high - low)) * counts.length;
  const under = counts.reduce((sum, count, index) => sum + count * Math.min(1, Math.max(0, place - index)), value > low ? below : 0) + (value > high ? above : 0);
  return total === 0 ? 0 : (least ? total - under : under) / total;
}

/** A picture of the histograms of the shown bands; the ends of the range are dragged in it. */
export function drawn(layer: Layer, style: Style, histograms: Histograms, ranged: (low: number, high: number) => void): SVGElement | false {
  const found = style.bands.map((band) => histograms.of(layer, band, style.decibels)).filter((one) => one !== null);
  if (found.length < style.bands.length) return false;
  const low = Math.min(...found.map((one) => one.low));
  const high = Math.max(...found.map((one) => one.high));
  const across = (value: number) => ((value - low) / (high - low)) * WIDTH;
  const picture = s("svg", { class: "histogram", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": t("histogram") });
  found.forEach((one, index) => {
    const most = Math.max(...one.counts, 1);
    const step = (across(one.high) - across(one.low)) / one.counts.length;
    const points = one.counts.flatMap((count, bin) => {
      const [x, y] = [across(one.low) + bin * step, HEIGHT - (count / most) * (HEIGHT - 4)];
      return [`${x},${y}`, `${x + step},${y}`];
    });
    const outline = [`${across(one.low)},${HEIGHT}`, ...points, `${across(one.high)},${HEIGHT}`].join(" ");
    picture.append(s("polygon", { points: outline, class: found.length === 1 ? "grey" : (["red", "green", "blue"][index] ?? "grey") }));
  });
  const ends = [style.low[0] ?? low, style.high[0] ?? high];
  const lines = ends.map(() => s("line", { y1: 0, y2: HEIGHT }));
  const place = () => lines.forEach((line, index) => ["x1", "x2"].forEach((name) => line.setAttribute(name, String(Math.min(WIDTH - 1, Math.max(1, across(ends[index] ?? 0)))))));
  place();
  picture.append(...lines);
  picture.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    const box = picture.getBoundingClientRect();
    const valueAt = (now: PointerEvent) => low + Math.min(1, Math.max(0, (now.clientX - box.left) / box.width)) * (high - low);
    const end = Math.abs(valueAt(event) - (ends[0] ?? 0)) <= Math.abs(valueAt(event) - (ends[1] ?? 0)) ? 0 : 1;
    const move = (now: PointerEvent) => {
      ends[end] = end === 0 ? Math.min(valueAt(now), ends[1] ?? 0) : Math.max(valueAt(now), ends[0] ?? 0);
      place();
    };
    picture.setPointerCapture(event.pointerId);
    picture.addEventListener("pointermove", move);
    const stop = () => {
      picture.removeEventListener("pointermove", move);
      ranged(ends[0] ?? low, ends[1] ?? high);
    };
    picture.addEventListener("pointerup", stop, { once: true });
    move(event);
  });
  return picture;
}
