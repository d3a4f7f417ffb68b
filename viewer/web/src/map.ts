import View from "ol/View";
import { containsExtent } from "ol/extent";
import { getPointResolution, toLonLat, transform } from "ol/proj";
import { besidePath, type Layer } from "./api";
import type { World } from "./base";
import { Divider } from "./divider";
import { h } from "./dom";
import { Frame, type Pane, type Placed, viewOf } from "./frame";
import { t } from "./i18n";

/** Where a reading was asked for: longitude and latitude, or column and row. */
export interface Place {
  x: number;
  y: number;
}

const BAR_PIXELS = 120;

/** Up to three panes: one map with dividers between them, or maps side by side that move together. */
export class Board {
  readonly element: HTMLElement;
  private readonly box = h("div", { class: "frames" });
  private readonly coordinates = h("output", { class: "coordinates" });
  private readonly bar = h("div", { class: "scalebar", "aria-hidden": "true" });
  private readonly apartButton: HTMLElement;
  private readonly baseButton: HTMLElement;
  private readonly saveButton: HTMLAnchorElement;
  private panes: Pane[] = [];
  private view = new View();
  private frames: Frame[] = [];
  private dividers: Divider[] = [];
  private base: Layer | null = null;
  private gridKey = "";

  constructor(
    private readonly read: (place: Place) => void,
    private readonly toggleApart: () => void,
    private readonly toggleBase: () => void,
  ) {
    const button = (text: string, action: () => void) => h("button", { type: "button", class: "tool", click: action }, text);
    this.apartButton = button("▥", () => this.toggleApart());
    this.baseButton = button("⊕", () => this.toggleBase());
    this.saveButton = h("a", { class: "button tool", download: "", click: () => this.save() }, "⤓");
    const tools = h("div", { class: "tools" }, this.apartButton, this.baseButton, this.saveButton, button("+", () => this.zoom(1)), button("−", () => this.zoom(-1)), button("⤢", () => this.fit()));
    this.element = h("div", { class: "mapbox" }, this.box, tools, h("div", { class: "status" }, this.bar, this.coordinates));
    this.setFrames(1);
    this.relabel();
  }

  /** Put the names of the controls in the chosen language. */
  relabel(): void {
    for (const { target } of this.frames) target.setAttribute("aria-label", t("map"));
    for (const divider of this.dividers) divider.relabel(t("swipe"), t("swipeHelp"));
    this.coordinates.value = t("clickHint");
    const names = [t("apart"), t("base"), t("save"), t("zoomIn"), t("zoomOut"), t("whole")];
    this.element.querySelectorAll<HTMLElement>(".tool").forEach((tool, index) => {
      tool.title = names[index] ?? "";
      tool.setAttribute("aria-label", names[index] ?? "");
    });
  }

  /** Show these panes, and one over all of them; the view stays unless the scene lies elsewhere. */
  show(panes: Pane[], over: Pane | null, apart: boolean): void {
    this.base = panes[0]?.layer ?? null;
    const key = this.base === null ? "" : `${this.base.grid} ${this.base.extent.join(" ")}`;
    const moved = key !== this.gridKey;
    this.gridKey = key;
    if (moved && this.base !== null) {
      this.view = viewOf(this.base);
      this.mark(null);
    }
    const all = this.base !== null && containsExtent(this.view.calculateExtent(), this.base.extent);
    const frames = this.frames.length;
    this.setDividers(apart ? 0 : Math.max(0, panes.length - 1));
    this.setFrames(apart ? Math.max(1, panes.length) : 1);
    const whole = () => 0;
    this.frames.forEach((frame, index) => {
      frame.setView(this.view);
      const below = apart ? panes.slice(index, index + 1) : panes;
      const placed = below.map((pane, place): Placed => ({ pane, from: place === 0 ? whole : () => this.dividers[place - 1]?.share ?? 0 }));
      frame.show(over === null ? placed : [...placed, { pane: over, from: whole }]);
    });
    this.baseButton.hidden = this.base?.grid !== "map";
    this.panes = panes;
    this.saveButton.hidden = panes.length < 2;
    this.save();
    this.apartButton.hidden = panes.length < 2;
    this.apartButton.setAttribute("aria-pressed", String(apart));
    if (moved || (all && frames !== this.frames.length)) this.fit();
  }

  /** Show coasts, borders and places below the layers, or nothing. */
  setBase(world: World | null): void {
    this.baseButton.setAttribute("aria-pressed", String(world !== null));
    for (const frame of this.frames) frame.setBase(this.base?.grid === "map" ? world : null);
  }

  /** Mark the place of a reading, or take the mark away. */
  mark(place: Place | null): void {
    const { base } = this;
    let coordinate: number[] | undefined;
    if (place !== null && base !== null) coordinate = base.grid === "map" ? transform([place.x, place.y], "EPSG:4326", "EPSG:3857") : [place.x, base.height - place.y];
    for (const frame of this.frames) frame.mark(coordinate);
  }

  resize(): void {
    for (const frame of this.frames) frame.resize();
  }

  private setFrames(count: number): void {
    if (count === this.frames.length) return;
    while (this.frames.length > count) this.frames.pop()?.remove();
    while (this.frames.length < count)
      this.frames.push(
        new Frame(this.box, this.view, {
          read: (coordinate) => this.readAt(coordinate),
          point: (coordinate, frame) => this.tell(coordinate, frame),
          moved: () => this.drawBar(),
        }),
      );
    this.relabel();
    this.resize();
    this.frames.forEach((frame) => frame.follow(undefined));
  }

  private setDividers(count: number): void {
    if (count === this.dividers.length) return;
    for (const { element } of this.dividers) element.remove();
    this.dividers = Array.from({ length: count }, (_, index) => new Divider(this.box, (share) => this.place(index, share)));
    this.dividers.forEach((divider, index) => divider.place((index + 1) / (count + 1)));
    this.box.after(...this.dividers.map(({ element }) => element));
    this.relabel();
  }

  /** Move one divider; the other one makes way. */
  private place(index: number, share: number): void {
    this.dividers[index]?.place(share);
    this.dividers.forEach((other, position) => {
      const pushed = position < index ? Math.min(other.share, share) : position > index ? Math.max(other.share, share) : other.share;
      if (pushed !== other.share) other.place(pushed);
    });
    for (const frame of this.frames) frame.render();
  }

  /** Point the link to a picture of the layers as they are now. A divider cuts the scene where it crosses it. */
  private save(): void {
    if (this.panes.length < 2) return;
    const [left, , right] = this.base?.extent ?? [0, 0, 1];
    const [from, , to] = this.view.calculateExtent();
    const cut = ({ share }: Divider) => Math.min(1, Math.max(0, ((from ?? 0) + share * ((to ?? 1) - (from ?? 0)) - left) / (right - left)));
    this.saveButton.href = besidePath(this.panes, this.dividers.length === 0 ? null : this.dividers.map(cut));
  }

  private fit(): void {
    if (this.base !== null) this.view.fit(this.base.extent, { padding: [8, 8, 8, 8] });
  }

  private zoom(by: number): void {
    this.view.animate({ zoom: (this.view.getZoom() ?? 0) + by, duration: 150 });
  }

  private where(coordinate: number[]): Place | null {
    const [x, y] = coordinate;
    if (this.base === null || x === undefined || y === undefined) return null;
    if (this.base.grid === "pixels") return { x, y: this.base.height - y };
    const [longitude, latitude] = toLonLat([x, y]);
    return { x: longitude ?? 0, y: latitude ?? 0 };
  }

  private readAt(coordinate: number[]): void {
    const place = this.where(coordinate);
    if (place === null) return;
    this.mark(place);
    this.read(place);
  }

  private tell(coordinate: number[], from: Frame): void {
    for (const frame of this.frames) frame.follow(frame === from ? undefined : coordinate);
    const place = this.where(coordinate);
    if (place === null) this.coordinates.value = "";
    else if (this.base?.grid === "pixels") this.coordinates.value = t("column", { c: Math.floor(place.x), r: Math.floor(place.y) });
    else this.coordinates.value = degrees(place);
  }

  private drawBar(): void {
    const resolution = this.view.getResolution();
    if (resolution === undefined || this.base === null) return;
    const onMap = this.base.grid === "map";
    const metres = onMap ? getPointResolution(this.view.getProjection(), resolution, this.view.getCenter() ?? [0, 0], "m") : resolution;
    const length = roundDown(metres * BAR_PIXELS);
    this.bar.style.width = `${length / metres}px`;
    if (!onMap) this.bar.textContent = `${length} px`;
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
