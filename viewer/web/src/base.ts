import Layer from "ol/layer/Layer";
import type { FrameState } from "ol/Map";
import { type Extent, boundingExtent, containsExtent, createEmpty, getForViewAndSize, intersects } from "ol/extent";
import { fromLonLat } from "ol/proj";
import type { BaseMap } from "./api";
import { h } from "./dom";

/** Metres of a pixel at the equator where the world is 256 pixels wide. */
export const WORLD_RESOLUTION = 156543.03392804097;
const THOUSANDTHS = 1000;
const MARGIN = 4;
/** Places named on the whole world in 256 pixels; four times as many with each zoom. */
const PLACES_OF_THE_WORLD = 12;

interface Line {
  extent: Extent;
  points: number[][];
}

/** Coasts, borders and places of Natural Earth in Web Mercator metres. */
export interface World {
  coasts: Line[];
  borders: Line[];
  /** The most important first. */
  places: { name: string; at: number[] }[];
}

export function worldOf({ coasts, borders, places }: BaseMap): World {
  return { coasts: coasts.map(line), borders: borders.map(line), places: places.map(([name, ...at]) => ({ name, at: fromLonLat(at) })) };
}

/** A line from its first point and the steps from there, in thousandths of a degree. */
function line(steps: number[]): Line {
  let [x, y] = [0, 0];
  const points: number[][] = [];
  for (let i = 0; i < steps.length; i += 2) {
    x += steps[i] ?? 0;
    y += steps[i + 1] ?? 0;
    points.push(fromLonLat([x / THOUSANDTHS, Math.max(y / THOUSANDTHS, -85)]));
  }
  return { extent: boundingExtent(points), points };
}

/** The base below all layers of a map: thin lines, and names where there is room. */
export class BaseLayer extends Layer {
  private readonly canvas = h("canvas", {});
  private readonly box = h("div", { class: "base" }, this.canvas);

  constructor(private readonly world: World) {
    super({ zIndex: 0 });
  }

  override render(frame: FrameState | null): HTMLElement {
    const context = this.canvas.getContext("2d");
    if (frame === null || context === null) return this.box;
    const [width = 0, height = 0] = frame.size;
    const { center, resolution } = frame.viewState;
    const [left, , , top] = getForViewAndSize(center, resolution, 0, frame.size, createEmpty());
    const place = ([x = 0, y = 0]: number[]): [number, number] => [(x - (left ?? 0)) / resolution, ((top ?? 0) - y) / resolution];
    this.canvas.width = Math.round(width * frame.pixelRatio);
    this.canvas.height = Math.round(height * frame.pixelRatio);
    context.scale(frame.pixelRatio, frame.pixelRatio);
    const theme = getComputedStyle(document.documentElement);
    const colour = (name: string) => theme.getPropertyValue(name);
    context.strokeStyle = colour("--coast");
    for (const [lines, dashes] of [[this.world.coasts, []], [this.world.borders, [5, 3]]] as const) {
      context.setLineDash(dashes);
      context.beginPath();
      for (const { extent, points } of lines)
        if (frame.extent !== null && intersects(extent, frame.extent)) points.forEach((point, index) => (index === 0 ? context.moveTo(...place(point)) : context.lineTo(...place(point))));
      context.stroke();
    }
    context.fillStyle = colour("--soft");
    context.strokeStyle = colour("--map");
    const named = PLACES_OF_THE_WORLD * (WORLD_RESOLUTION / resolution) ** 2;
    this.names(context, this.world.places.slice(0, named), place, [width, height]);
    return this.box;
  }

  private names(context: CanvasRenderingContext2D, places: World["places"], place: (at: number[]) => [number, number], [width, height]: [number, number]): void {
    const taken: Extent[] = [];
    context.setLineDash([]);
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.lineWidth = 3;
    for (const { name, at } of places) {
      const [x, y] = place(at);
      if (x < 0 || x > width || y < 0 || y > height) continue;
      const box: Extent = [x - MARGIN, y - 2 * MARGIN, x + context.measureText(name).width + 3 * MARGIN, y + 2 * MARGIN];
      if (!containsExtent([0, 0, width, height], box) || taken.some((other) => intersects(other, box))) continue;
      taken.push(box);
      context.strokeText(name, x + 6, y);
      context.fillText(name, x + 6, y);
      context.fillRect(x - 1.5, y - 1.5, 3, 3);
    }
  }
}
