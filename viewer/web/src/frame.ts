import OlMap from "ol/Map";
import Overlay from "ol/Overlay";
import TileLayer from "ol/layer/Tile";
import TileImage from "ol/source/TileImage";
import TileGrid from "ol/tilegrid/TileGrid";
import Projection from "ol/proj/Projection";
import View from "ol/View";
import type RenderEvent from "ol/render/Event";
import { defaults as defaultInteractions } from "ol/interaction/defaults";
import { get as getProjection } from "ol/proj";
import { extend, getCenter, getTopLeft } from "ol/extent";
import { getRenderPixel } from "ol/render";
import { type Layer, type Style, tilePath } from "./api";
import { BaseLayer, WORLD_RESOLUTION, type World } from "./base";
import { h } from "./dom";

export interface Pane {
  layer: Layer;
  style: Style;
  opacity: number;
}

/** A pane in a frame, from a share of the frame's width on; later ones lie above. */
export interface Placed {
  pane: Pane;
  from: () => number;
}

/** What a frame tells: a click, where the pointer is, the end of a movement. */
export interface Listener {
  read(coordinate: number[]): void;
  point(coordinate: number[], frame: Frame): void;
  moved(): void;
}

/** One map. Several of them side by side share a view. */
export class Frame {
  readonly target = h("div", { class: "map", tabindex: 0, role: "application" });
  private readonly element = h("div", { class: "frame" }, this.target, h("div", { class: "crosshair", "aria-hidden": "true" }));
  private readonly map: OlMap;
  private readonly marker = overlay("marker");
  private readonly cursor = overlay("marker cursor");
  private tiles = new Map<string, TileLayer>();
  private base: BaseLayer | null = null;

  constructor(
    private readonly parent: HTMLElement,
    view: View,
    listener: Listener,
  ) {
    parent.append(this.element);
    this.map = new OlMap({
      target: this.target,
      view,
      controls: [],
      interactions: defaultInteractions({ altShiftDragRotate: false, pinchRotate: false }),
      keyboardEventTarget: this.target,
      overlays: [this.marker, this.cursor],
    });
    this.target.addEventListener("keydown", (event) => {
      const centre = this.map.getView().getCenter();
      if (event.key === "Enter" && centre !== undefined) listener.read(centre);
    });
    this.map.on("singleclick", (event) => listener.read(event.coordinate));
    this.map.on("pointermove", (event) => listener.point(event.coordinate, this));
    this.map.on("moveend", () => listener.moved());
    this.map.on("loadstart", () => this.target.setAttribute("aria-busy", "true"));
    this.map.on("loadend", () => this.target.setAttribute("aria-busy", "false"));
  }

  setView(view: View): void {
    if (this.map.getView() !== view) this.map.setView(view);
  }

  show(placed: Placed[]): void {
    const wanted = new Map(placed.map(({ pane, from }, index) => [`${index} ${tilePath(pane.layer, pane.style)}`, { pane, from, index }]));
    for (const [key, tiles] of this.tiles)
      if (!wanted.has(key)) {
        this.map.removeLayer(tiles);
        this.tiles.delete(key);
      }
    for (const [key, { pane, from, index }] of wanted) {
      let tiles = this.tiles.get(key);
      if (tiles === undefined) {
        tiles = tileLayer(pane, index + 1);
        this.clip(tiles, from);
        this.tiles.set(key, tiles);
        this.map.addLayer(tiles);
      }
      tiles.setOpacity(pane.opacity);
    }
    this.map.render();
  }

  /** Show the world below the layers, or nothing. */
  setBase(world: World | null): void {
    if ((world === null) === (this.base === null)) return;
    if (this.base !== null) this.map.removeLayer(this.base);
    this.base = world === null ? null : new BaseLayer(world);
    if (this.base !== null) this.map.addLayer(this.base);
  }

  mark(coordinate: number[] | undefined): void {
    this.marker.setPosition(coordinate);
  }

  /** Show where the pointer is in another frame. */
  follow(coordinate: number[] | undefined): void {
    this.cursor.setPosition(coordinate);
  }

  render(): void {
    this.map.render();
  }

  resize(): void {
    this.map.updateSize();
  }

  remove(): void {
    this.map.setTarget(undefined);
    this.parent.removeChild(this.element);
  }

  private clip(layer: TileLayer, share: () => number): void {
    layer.on("prerender", (event: RenderEvent) => {
      const context = event.context as CanvasRenderingContext2D;
      const [width, height] = this.map.getSize() ?? [0, 0];
      const from = (width ?? 0) * share();
      const corners = [[from, 0], [width, 0], [width, height], [from, height]].map((corner) => getRenderPixel(event, corner as number[]));
      context.save();
      context.beginPath();
      corners.forEach(([x, y], index) => (index === 0 ? context.moveTo(x ?? 0, y ?? 0) : context.lineTo(x ?? 0, y ?? 0)));
      context.closePath();
      context.clip();
    });
    layer.on("postrender", (event: RenderEvent) => (event.context as CanvasRenderingContext2D).restore());
  }
}

function overlay(name: string): Overlay {
  return new Overlay({ element: h("div", { class: name }), positioning: "center-center", stopEvent: false });
}

function projectionOf(layer: Layer): Projection {
  if (layer.grid === "map") return getProjection("EPSG:3857") as Projection;
  return new Projection({ code: `pixels-${layer.width}-${layer.height}`, units: "pixels", extent: layer.extent });
}

/** A view that holds a layer and what lies half its size around it; on a map, the whole world and what of a layer
 * lies beyond its edge at 180 degrees. */
export function viewOf(layer: Layer): View {
  const onMap = layer.grid === "map";
  const projection = projectionOf(layer);
  const finest = onMap ? WORLD_RESOLUTION / 2 ** layer.maxzoom : 1;
  const [left, bottom, right, top] = layer.extent;
  const longest = Math.max(right - left, top - bottom);
  return new View({
    projection,
    center: getCenter(layer.extent),
    minResolution: finest / 16,
    maxResolution: onMap ? WORLD_RESOLUTION : longest / 64,
    resolution: longest / 500,
    extent: onMap ? extend([...projection.getExtent()], layer.extent) : [left - longest / 2, bottom - longest / 2, right + longest / 2, top + longest / 2],
    showFullExtent: true,
    smoothExtentConstraint: true,
    enableRotation: false,
  });
}

function tileLayer(pane: Pane, zIndex: number): TileLayer {
  const { layer, style } = pane;
  const url = tilePath(layer, style);
  const tileGrid =
    layer.grid === "map"
      ? new TileGrid({
          extent: layer.extent, // which may reach beyond 180 degrees, as the numbers of the tiles then do
          origin: getTopLeft(projectionOf(layer).getExtent()),
          tileSize: 256,
          resolutions: Array.from({ length: layer.maxzoom + 2 }, (_, z) => WORLD_RESOLUTION / 2 ** z),
        })
      : new TileGrid({
          extent: layer.extent,
          origin: [0, layer.height],
          tileSize: 256,
          resolutions: Array.from({ length: layer.maxzoom + 1 }, (_, z) => 2 ** (layer.maxzoom - z)),
        });
  const source = new TileImage({
    projection: projectionOf(layer),
    tileGrid,
    interpolate: false,
    wrapX: false,
    transition: 0,
    tileUrlFunction: ([z, x, y]) => url.replace("{z}", String(z)).replace("{x}", String(x)).replace("{y}", String(y)),
  });
  return new TileLayer({ source, extent: layer.extent, zIndex, opacity: pane.opacity });
}
