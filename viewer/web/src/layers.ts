import { bandTitle, layerTitle } from "./titles";
import { type Layer, type LayerDetail, type Style, filePath, picturePath, swipePath } from "./api";
import { h, refill, select } from "./dom";
import { drawn, Histograms, shareOf } from "./histogram";
import { t, named } from "./i18n";
import { told } from "./messages";
import { SLOTS, type Slot, type Store, isEmpty } from "./store";

const SPANS: [number, number][] = [
  [2, 98],
  [1, 99],
  [0.5, 99.5],
  [0, 100],
];

/** The layers of the scene: which is left and right, how each is shown, what can be saved. */
export class LayersPanel {
  readonly element = h("div", { class: "panel" });
  private readonly open = new Set<string>();
  private readonly histograms: Histograms;

  constructor(
    private readonly store: Store,
    private readonly fail: (error: unknown) => void,
    private readonly draw: () => void,
  ) {
    this.histograms = new Histograms(fail, () => this.render());
  }

  render(): void {
    const { scene } = this.store;
    if (scene === null) refill(this.element, h("p", { class: "soft" }, t("noScene")));
    else refill(this.element, h("h2", {}, scene.name), ...scene.layers.map((layer) => this.card(layer)));
  }

  private card(layer: Layer): HTMLElement {
    const detail = this.store.details.get(layer.id);
    const side = (which: Slot) =>
      h(
        "button",
        {
          type: "button",
          class: "toggle",
          "data-key": `${which}-${layer.id}`,
          "aria-pressed": String(this.store.slots[which] === layer.id),
          click: () => this.assign(which, layer.id),
        },
        t(which),
      );
    const style = this.store.styles.get(layer.id);
    const first = this.store.scene?.layers[0];
    const help = named(`help_${layer.product ?? layer.kind}`, "");
    return h(
      "section",
      { class: `layer ${layer.kind}${layer.parent === null ? "" : " child"}` },
      h("div", { class: "row" }, h("span", { class: `chip ${layer.kind}` }, layerTitle(layer)), h("span", { class: "row" }, ...SLOTS.map(side), isMap(layer) && this.overButton(layer))),
      h("p", { class: "name" }, layer.name.split("/").pop() ?? layer.name),
      layer.acquired !== null && layer.parent === null && h("p", { class: "soft" }, t("acquired", { date: layer.acquired.replace("T", " ").replace("Z", " UTC") })),
      layer.guess && h("p", { class: "notice" }, t("notice")),
      help !== "" && h("p", { class: "soft" }, help),
      detail !== undefined && isEmpty(detail) ? h("p", { class: "warning" }, t("noPixel")) : style !== undefined && legend(layer, style),
      isMap(layer) && style !== undefined && detail !== undefined && this.threshold(layer, detail, style),
      style !== undefined && detail !== undefined && this.controls(layer, detail, style),
      h(
        "div",
        { class: "row" },
        style !== undefined && h("a", { class: "button", href: picturePath(layer, style), download: "", title: t("pngTitle") }, t("png")),
        layer.kind === "translation" && first !== undefined && first !== layer && h("a", { class: "button", href: swipePath(first.id, layer.id), download: "", title: t("gifTitle") }, t("gif")),
        layer.kind === "translation" && h("a", { class: "button", href: filePath(layer.id), download: "", title: t("tiffTitle") }, t("tiff")),
      ),
    );
  }

  private assign(which: Slot, id: string): void {
    const { store } = this;
    const { slots } = store;
    if (slots[which] === id && which !== "left") slots[which] = null;
    else {
      const other = SLOTS.find((slot) => slots[slot] === id);
      if (other !== undefined) slots[other] = slots[which];
      slots[which] = id;
      slots.left ??= id;
    }
    this.loaded();
  }

  private loaded(): void {
    this.store
      .load()
      .then(() => this.store.changed())
      .catch(this.fail);
  }

  private overButton(layer: Layer): HTMLElement {
    const { store } = this;
    const pressed = store.over === layer.id;
    const toggle = () => {
      store.over = pressed ? null : layer.id;
      this.loaded();
    };
    return h("button", { type: "button", class: "toggle", "data-key": `over-${layer.id}`, "aria-pressed": String(pressed), click: toggle }, t("over"));
  }

  /** Hides the pixels of a map of origin, reliability or error on one side of a value. */
  private threshold(layer: Layer, detail: LayerDetail, style: Style): HTMLElement {
    const band = (style.bands[0] ?? 1) - 1;
    const least = style.most === null;
    const value = style.least ?? style.most;
    const [from, to] = [detail.percentiles[band]?.at(0) ?? 0, detail.percentiles[band]?.at(-1) ?? 1];
    const side = value === null ? "" : least ? "least" : "most";
    const cut = (which: string, at: number) => this.apply(layer, { ...style, least: which === "least" ? at : null, most: which === "most" ? at : null });
    const histogram = value === null ? null : this.histograms.of(layer, band + 1, style.decibels);
    const unit = unitOf(layer, style);
    const output = h("output", {}, value === null ? "" : `${short(value)}${unit}`);
    const slider: HTMLInputElement = h("input", {
      type: "range",
      min: from,
      max: to,
      step: (to - from) / 200 || 1,
      value,
      "aria-label": t("threshold"),
      "data-key": `threshold-${layer.id}`,
      input: () => {
        output.value = `${short(slider.valueAsNumber)}${unit}`;
      },
      change: () => cut(side, slider.valueAsNumber),
    });
    const options: [string, string][] = [["", t("allPixels")], ["least", t("atLeast")], ["most", t("atMost")]];
    return h(
      "div",
      { class: "threshold" },
      select(t("threshold"), options, side, (which) => cut(which, value ?? (from + to) / 2)),
      value !== null && h("div", { class: "row" }, slider, output),
      histogram !== null && h("p", { class: "soft" }, t("shareShown", { share: (100 * shareOf(histogram, value ?? 0, least)).toFixed(1) })),
    );
  }

  private controls(layer: Layer, detail: LayerDetail, style: Style): HTMLElement {
    const opacity = this.store.opacities.get(layer.id) ?? 1;
    const slider: HTMLInputElement = h("input", {
      type: "range",
      min: 0,
      max: 100,
      value: Math.round(opacity * 100),
      "data-key": `opacity-${layer.id}`,
      input: () => {
        this.store.opacities.set(layer.id, Number(slider.value) / 100);
        this.draw();
      },
    });
    const box: HTMLDetailsElement = h(
      "details",
      { open: this.open.has(layer.id), toggle: () => this.unfold(layer, box.open) },
      h("summary", { "data-key": `display-${layer.id}` }, t("display")),
      h("label", { class: "field" }, h("span", {}, t("opacity")), slider),
      ...(layer.kind === "error" ? [] : this.bandFields(layer, detail, style)),
      !isMap(layer) && this.scaleField(layer, detail, style),
      ...this.stretchFields(layer, detail, style),
      h("button", { type: "button", click: () => this.apply(layer, detail.style, 1) }, t("reset")),
    );
    return box;
  }

  private unfold(layer: Layer, open: boolean): void {
    if (open === this.open.has(layer.id)) return;
    if (open) this.open.add(layer.id);
    else this.open.delete(layer.id);
    this.render();
  }

  private bandFields(layer: Layer, detail: LayerDetail, style: Style): HTMLElement[] {
    const names: [string, string][] = layer.bands.map((band, index) => [String(index + 1), bandTitle(band)]);
    const change = (bands: number[]) => this.apply(layer, stretched(detail, { ...style, bands, least: null, most: null }, spanOf(detail, style) ?? [2, 98]));
    const grey = style.bands.length === 1;
    const options: [string, string][] = layer.bands.length > 1 && !isMap(layer) ? [...names, ["colour", t("colour")]] : names;
    const fields = [
      select(t("bands"), options, grey ? String(style.bands[0]) : "colour", (value) =>
        change(value === "colour" ? [1, 2, Math.min(3, layer.bands.length)] : [Number(value)]),
      ),
    ];
    if (!grey)
      (["red", "green", "blue"] as const).forEach((colour, position) =>
        fields.push(
          select(t(colour), names, String(style.bands[position]), (value) =>
            change(style.bands.map((band, index) => (index === position ? Number(value) : band))),
          ),
        ),
      );
    return fields;
  }

  private scaleField(layer: Layer, detail: LayerDetail, style: Style): HTMLElement {
    const unit = unitOf(layer, { ...style, decibels: null }).trim();
    const options: [string, string][] = [
      ["", unit === "" ? t("asNumbers") : `${t("asNumbers")} (${unit})`],
      ["amplitude", t("dbAmplitude")],
      ["power", t("dbPower")],
    ];
    return select(t("scale"), options, style.decibels ?? "", (value) => {
      const decibels = value === "amplitude" || value === "power" ? value : null;
      this.apply(layer, stretched(detail, { ...style, decibels }, spanOf(detail, style) ?? [2, 98]));
    });
  }

  private stretchFields(layer: Layer, detail: LayerDetail, style: Style): Element[] {
    if (!this.open.has(layer.id)) return [];
    const span = spanOf(detail, style);
    const label = ([low, high]: [number, number]) => (high === 100 ? t("minmax") : t("percentile", { low, high }));
    const options: [string, string][] = SPANS.map((one) => [one.join(" "), label(one)]);
    options.push(["range", t("range")]);
    const number = (which: "low" | "high"): HTMLElement => {
      const input: HTMLInputElement = h("input", {
        type: "number",
        step: "any",
        value: Number((style[which][0] ?? 0).toPrecision(4)),
        "data-key": `${which}-value-${layer.id}`,
        change: () => Number.isFinite(input.valueAsNumber) && this.apply(layer, { ...style, low: one(style.low), high: one(style.high), [which]: [input.valueAsNumber] }),
      });
      return h("label", { class: "field" }, h("span", {}, `${t(which)}${style.decibels ? " (dB)" : ""}`), input);
    };
    const picture = drawn(layer, style, this.histograms, (low, high) => this.apply(layer, { ...style, low: [low], high: [high] }));
    return [
      select(t("stretch"), options, span === null ? "range" : span.join(" "), (value) => {
        const chosen = value.split(" ").map(Number);
        this.apply(layer, value === "range" ? { ...style, low: one(style.low), high: one(style.high) } : stretched(detail, style, [chosen[0] ?? 2, chosen[1] ?? 98]));
      }),
      ...(picture === false ? [] : [picture]),
      number("low"),
      number("high"),
    ];
  }

  private apply(layer: Layer, style: Style, opacity?: number): void {
    this.store.styles.set(layer.id, style);
    if (opacity !== undefined) this.store.opacities.set(layer.id, opacity);
    this.store.changed();
  }
}

const short = (value: number): string => String(Number(value.toPrecision(3)));

/** Whether a layer is a map of a figure about the translation. */
const isMap = (layer: Layer): boolean => layer.kind === "product" || layer.kind === "error";

const one = (values: number[]): number[] => [values[0] ?? 0];

function inDecibels(value: number, style: Style): number {
  if (style.decibels === null) return value;
  return (style.decibels === "amplitude" ? 20 : 10) * Math.log10(Math.max(value, style.decibels === "amplitude" ? 1e-5 : 1e-10));
}

/** The style with the range between two percentiles of each band. */
function stretched(detail: LayerDetail, style: Style, [low, high]: [number, number]): Style {
  const edge = (level: number) =>
    style.bands.map((band) => inDecibels(detail.percentiles[band - 1]?.[detail.levels.indexOf(level)] ?? 0, style));
  const lows = edge(low);
  return { ...style, low: lows, high: edge(high).map((value, index) => Math.max(value, (lows[index] ?? 0) + 1e-6)) };
}

/** The percentiles that a style's range stands for, if any. */
function spanOf(detail: LayerDetail, style: Style): [number, number] | null {
  const close = (a: number[], b: number[]) => a.length === b.length && a.every((value, index) => Math.abs(value - (b[index] ?? 0)) < 1e-3);
  return (
    SPANS.find((span) => {
      const wanted = stretched(detail, style, span);
      return close(wanted.low, style.low) && close(wanted.high, style.high);
    }) ?? null
  );
}

/** What stands behind the numbers of a band that is shown alone. */
function unitOf(layer: Layer, style: Style): string {
  const known = layer.band_units[(style.bands[0] ?? 1) - 1];
  return style.decibels !== null ? " dB" : known ? ` ${told(known)}` : "";
}

function legend(layer: Layer, style: Style): HTMLElement | false {
  if (style.bands.length !== 1) {
    const names = style.bands.map((band) => bandTitle(layer.bands[band - 1] ?? "?"));
    return h("p", { class: "soft" }, (["red", "green", "blue"] as const).map((colour, index) => `${t(colour)} ${names[index]}`).join(" · "));
  }
  const unit = unitOf(layer, style);
  const text = (value: number | undefined) => `${short(value ?? 0)}${unit}`;
  return h(
    "div",
    { class: "legend" },
    h("span", {}, `${bandTitle(layer.bands[(style.bands[0] ?? 1) - 1] ?? "")}: ${text(style.low[0])}`),
    h("i", { class: isMap(layer) ? "ramp heat" : "ramp" }),
    h("span", {}, text(style.high[0])),
  );
}
