import OlMap from "ol/Map";
import View from "ol/View";
import Overlay from "ol/Overlay";
import TileLayer from "ol/layer/Tile";
import TileImage from "ol/source/TileImage";
import TileGrid from "ol/tilegrid/TileGrid";
import Projection from "ol/proj/Projection";
import type RenderEvent from "ol/render/Event";
import { defaults as defaultInteractions } from "ol/interaction/defaults";
import { createXYZ } from "ol/tilegrid";
import { get as getProjection, getPointResolution, toLonLat, transform } from "ol/proj";
import { getCenter } from "ol/extent";
import { getRenderPixel } from "ol/render";
import { type Layer, type Style, tilePath } from "./api";
import { h } from "./dom";
import { t } from "./i18n";

export interface Pane {
  layer: Layer;
  style: Style;
  opacity: number;
}

/** Where a reading was asked for: longitude and latitude, or column and row. */
export interface Place {
  x: number;
  y: number;
}

const STEP = 0.02;
const BAR_PIXELS = 120;

/** The map with a left and a right pane and the divider between them. */
export class SwipeMap {
  readonly element: HTMLElement;
  private readonly map: OlMap;
  private readonly target = h("div", { class: "map", tabindex: 0, role: "application" });
  private readonly divider: HTMLElement;
  private readonly coordinates = h("output", { class: "coordinates" });
  private readonly bar = h("div", { class: "scalebar", "aria-hidden": "true" });
  private readonly crosshair = h("div", { class: "crosshair", "aria-hidden": "true" });
  private readonly marker: Overlay;
  private panes: { left: Pane | null; right: Pane | null } = { left: null, right: null };
  private tiles: { left: TileLayer | null; right: TileLayer | null } = { left: null, right: null };
  private gridKey = "";
  private share = 0.5;

  constructor(private readonly read: (place: Place) => void) {
    this.map = new OlMap({
      target: this.target,
      controls: [],
      interactions: defaultInteractions({ altShiftDragRotate: false, pinchRotate: false }),
      keyboardEventTarget: this.target,
    });
    this.marker = new Overlay({ element: h("div", { class: "marker" }), positioning: "center-center", stopEvent: false });
    this.map.addOverlay(this.marker);
    this.divider = h("div", { class: "divider", role: "slider", tabindex: 0, "aria-valuemin": 0, "aria-valuemax": 100 }, h("span", {}, "⇔"));
    this.divider.addEventListener("pointerdown", (event) => this.drag(event));
    this.divider.addEventListener("keydown", (event) => this.step(event));
    this.target.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.readAt(this.map.getView().getCenter());
    });
    this.map.on("singleclick", (event) => this.readAt(event.coordinate));
    this.map.on("pointermove", (event) => this.tell(event.coordinate));
    this.map.on("moveend", () => this.drawBar());
    this.map.on("loadstart", () => this.target.setAttribute("aria-busy", "true"));
    this.map.on("loadend", () => this.target.setAttribute("aria-busy", "false"));
    const button = (text: string, action: () => void) => h("button", { type: "button", class: "tool", click: action }, text);
    const tools = h(
      "div",
      { class: "tools" },
      button("+", () => this.zoom(1)),
      button("−", () => this.zoom(-1)),
      button("⤢", () => this.fit()),
    );
    this.element = h("div", { class: "mapbox" }, this.target, this.divider, this.crosshair, tools, h("div", { class: "status" }, this.bar, this.coordinates));
    this.relabel();
    this.place(this.share);
  }

  /** Put the names of the controls in the chosen language. */
  relabel(): void {
    this.target.setAttribute("aria-label", t("map"));
    this.divider.setAttribute("aria-label", t("swipe"));
    this.divider.title = t("swipeHelp");
    this.coordinates.value = t("clickHint");
    const names = [t("zoomIn"), t("zoomOut"), t("whole")];
    this.element.querySelectorAll<HTMLElement>(".tool").forEach((tool, index) => {
      tool.title = names[index] ?? "";
      tool.setAttribute("aria-label", names[index] ?? "");
    });
  }

  /** Show these panes; the view stays unless the scene lies elsewhere. */
  show(left: Pane | null, right: Pane | null): void {
    const base = left ?? right;
    const key = base === null ? "" : `${base.layer.grid} ${base.layer.extent.join(" ")}`;
    if (base !== null && key !== this.gridKey) {
      this.map.setView(viewOf(base.layer));
      this.marker.setPosition(undefined);
    }
    const moved = key !== this.gridKey;
    this.gridKey = key;
    this.put("left", left);
    this.put("right", right);
    this.divider.hidden = right === null;
    if (moved && base !== null) this.fit();
    this.map.render();
  }

  /** Mark the place of a reading, or take the mark away. */
  mark(place: Place | null): void {
    const layer = (this.panes.left ?? this.panes.right)?.layer;
    if (place === null || layer === undefined) this.marker.setPosition(undefined);
    else if (layer.grid === "map") this.marker.setPosition(transform([place.x, place.y], "EPSG:4326", "EPSG:3857"));
    else this.marker.setPosition([place.x, layer.height - place.y]);
  }

  resize(): void {
    this.map.updateSize();
  }

  private fit(): void {
    const layer = (this.panes.left ?? this.panes.right)?.layer;
    if (layer !== undefined) this.map.getView().fit(layer.extent, { padding: [8, 8, 8, 8] });
  }

  private zoom(by: number): void {
    this.map.getView().animate({ zoom: (this.map.getView().getZoom() ?? 0) + by, duration: 150 });
  }

  private put(side: "left" | "right", pane: Pane | null): void {
    const before = this.panes[side];
    this.panes[side] = pane;
    const same = pane !== null && before !== null && tilePath(pane.layer, pane.style) === tilePath(before.layer, before.style);
    if (!same) {
      if (this.tiles[side] !== null) this.map.removeLayer(this.tiles[side]);
      this.tiles[side] = pane === null ? null : tileLayer(pane, side === "right" ? 1 : 0);
      const added = this.tiles[side];
      if (added !== null) {
        if (side === "right") this.clip(added);
        this.map.addLayer(added);
      }
    }
    this.tiles[side]?.setOpacity(pane?.opacity ?? 1);
  }

  private clip(layer: TileLayer): void {
    layer.on("prerender", (event: RenderEvent) => {
      const context = event.context as CanvasRenderingContext2D;
      const [width, height] = this.map.getSize() ?? [0, 0];
      const from = (width ?? 0) * this.share;
      const corners = [[from, 0], [width, 0], [width, height], [from, height]].map((corner) => getRenderPixel(event, corner as number[]));
      context.save();
      context.beginPath();
      corners.forEach(([x, y], index) => (index === 0 ? context.moveTo(x ?? 0, y ?? 0) : context.lineTo(x ?? 0, y ?? 0)));
      context.closePath();
      context.clip();
    });
    layer.on("postrender", (event: RenderEvent) => (event.context as CanvasRenderingContext2D).restore());
  }

  private drag(event: PointerEvent): void {
    event.preventDefault();
    this.divider.focus();
    this.divider.setPointerCapture(event.pointerId);
    const move = (moved: PointerEvent) => {
      const box = this.target.getBoundingClientRect();
      this.place((moved.clientX - box.left) / box.width);
    };
    const end = () => this.divider.removeEventListener("pointermove", move);
    this.divider.addEventListener("pointermove", move);
    this.divider.addEventListener("pointerup", end, { once: true });
    this.divider.addEventListener("pointercancel", end, { once: true });
  }

  private step(event: KeyboardEvent): void {
    const steps: Record<string, number> = { ArrowLeft: -STEP, ArrowRight: STEP, ArrowDown: -STEP, ArrowUp: STEP, PageDown: -5 * STEP, PageUp: 5 * STEP };
    const by = steps[event.key];
    if (by !== undefined) this.place(this.share + by);
    else if (event.key === "Home") this.place(0);
    else if (event.key === "End") this.place(1);
    else return;
    event.preventDefault();
  }

  private place(share: number): void {
    this.share = Math.min(1, Math.max(0, share));
    this.divider.style.left = `${this.share * 100}%`;
    this.divider.setAttribute("aria-valuenow", String(Math.round(this.share * 100)));
    this.map.render();
  }

  private where(coordinate: number[]): Place | null {
    const layer = (this.panes.left ?? this.panes.right)?.layer;
    const [x, y] = coordinate;
    if (layer === undefined || x === undefined || y === undefined) return null;
    if (layer.grid === "pixels") return { x, y: layer.height - y };
    const [longitude, latitude] = toLonLat([x, y]);
    return { x: longitude ?? 0, y: latitude ?? 0 };
  }

  private readAt(coordinate: number[] | undefined): void {
    const place = coordinate === undefined ? null : this.where(coordinate);
    if (place === null) return;
    this.mark(place);
    this.read(place);
  }

  private tell(coordinate: number[]): void {
    const place = this.where(coordinate);
    const layer = (this.panes.left ?? this.panes.right)?.layer;
    if (place === null || layer === undefined) this.coordinates.value = "";
    else if (layer.grid === "pixels") this.coordinates.value = t("column", { c: Math.floor(place.x), r: Math.floor(place.y) });
    else this.coordinates.value = degrees(place);
  }

  private drawBar(): void {
    const view = this.map.getView();
    const resolution = view.getResolution();
    const layer = (this.panes.left ?? this.panes.right)?.layer;
    if (resolution === undefined || layer === undefined) return;
    const metres = layer.grid === "map" ? getPointResolution(view.getProjection(), resolution, view.getCenter() ?? [0, 0], "m") : resolution;
    const length = roundDown(metres * BAR_PIXELS);
    this.bar.style.width = `${length / metres}px`;
    if (layer.grid === "pixels") this.bar.textContent = `${length} px`;
    else this.bar.textContent = length >= 1000 ? `${length / 1000} km` : `${length} m`;
  }
}

export function degrees(place: Place): string {
  const latitude = `${Math.abs(place.y).toFixed(5)}° ${place.y < 0 ? "S" : "N"}`;
  return `${latitude}, ${Math.abs(place.x).toFixed(5)}° ${place.x < 0 ? "W" : "E"}`;
}

function roundDown(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return [5, 2, 1].map((step) => step * power).find((step) => step <= value) ?? power;
}

function projectionOf(layer: Layer): Projection {
  if (layer.grid === "map") return getProjection("EPSG:3857") as Projection;
  return new Projection({ code: `pixels-${layer.width}-${layer.height}`, units: "pixels", extent: layer.extent });
}

function viewOf(layer: Layer): View {
  const finest = layer.grid === "map" ? 156543.03392804097 / 2 ** layer.maxzoom : 1;
  const longest = Math.max(layer.extent[2] - layer.extent[0], layer.extent[3] - layer.extent[1]);
  return new View({
    projection: projectionOf(layer),
    center: getCenter(layer.extent),
    minResolution: finest / 16,
    maxResolution: longest / 64,
    resolution: longest / 500,
    extent: grown(layer.extent, longest / 2),
    showFullExtent: true,
    smoothExtentConstraint: true,
    enableRotation: false,
  });
}

function grown(extent: [number, number, number, number], by: number): number[] {
  return [extent[0] - by, extent[1] - by, extent[2] + by, extent[3] + by];
}

function tileLayer(pane: Pane, zIndex: number): TileLayer {
  const { layer, style } = pane;
  const url = tilePath(layer, style);
  const tileGrid =
    layer.grid === "map"
      ? createXYZ({ minZoom: 0, maxZoom: layer.maxzoom + 1, tileSize: 256 })
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
