import { layerTitle } from "./titles";
import { type Layer, type LayerDetail, type Style, filePath, picturePath } from "./api";
import { h, refill, select } from "./dom";
import { t, named } from "./i18n";
import { SLOTS, type Slot, type Store } from "./store";

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

  constructor(
    private readonly store: Store,
    private readonly fail: (error: unknown) => void,
    private readonly draw: () => void,
  ) {}

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
    const help = named(`help_${layer.product ?? layer.kind}`, "");
    return h(
      "section",
      { class: `layer ${layer.kind}` },
      h("div", { class: "row" }, h("span", { class: `chip ${layer.kind}` }, layerTitle(layer)), ...SLOTS.map(side)),
      h("p", { class: "name" }, layer.name.split("/").pop() ?? layer.name),
      layer.guess && h("p", { class: "notice" }, t("notice")),
      help !== "" && h("p", { class: "soft" }, help),
      style !== undefined && legend(layer, style),
      style !== undefined && detail !== undefined && this.controls(layer, detail, style),
      h(
        "div",
        { class: "row" },
        style !== undefined && h("a", { class: "button", href: picturePath(layer, style), download: "", title: t("pngTitle") }, t("png")),
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
    store
      .load()
      .then(() => store.changed())
      .catch(this.fail);
  }

  private controls(layer: Layer, detail: LayerDetail, style: Style): HTMLElement {
    const fixed = layer.kind === "error";
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
      { open: this.open.has(layer.id), toggle: () => (box.open ? this.open.add(layer.id) : this.open.delete(layer.id)) },
      h("summary", { "data-key": `display-${layer.id}` }, t("display")),
      h("label", { class: "field" }, h("span", {}, t("opacity")), slider),
      ...(fixed ? [] : [...this.bandFields(layer, detail, style), this.scaleField(layer, detail, style), ...this.stretchFields(layer, detail, style)]),
      h("button", { type: "button", click: () => this.apply(layer, detail.style, 1) }, t("reset")),
    );
    return box;
  }

  private bandFields(layer: Layer, detail: LayerDetail, style: Style): HTMLElement[] {
    const names: [string, string][] = layer.bands.map((band, index) => [String(index + 1), band]);
    const change = (bands: number[]) => this.apply(layer, stretched(detail, { ...style, bands }, spanOf(detail, style) ?? [2, 98]));
    const grey = style.bands.length === 1;
    const options: [string, string][] = layer.bands.length > 1 ? [...names, ["colour", t("colour")]] : names;
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
    const options: [string, string][] = [
      ["", layer.units === null ? t("asStored") : `${t("asStored")} (${layer.units})`],
      ["amplitude", t("dbAmplitude")],
      ["power", t("dbPower")],
    ];
    return select(t("scale"), options, style.decibels ?? "", (value) => {
      const decibels = value === "amplitude" || value === "power" ? value : null;
      this.apply(layer, stretched(detail, { ...style, decibels }, spanOf(detail, style) ?? [2, 98]));
    });
  }

  private stretchFields(layer: Layer, detail: LayerDetail, style: Style): HTMLElement[] {
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
    return [
      select(t("stretch"), options, span === null ? "range" : span.join(" "), (value) => {
        const chosen = value.split(" ").map(Number);
        this.apply(layer, value === "range" ? { ...style, low: one(style.low), high: one(style.high) } : stretched(detail, style, [chosen[0] ?? 2, chosen[1] ?? 98]));
      }),
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

function legend(layer: Layer, style: Style): HTMLElement | false {
  if (style.bands.length !== 1) {
    const names = style.bands.map((band) => layer.bands[band - 1] ?? "?");
    return h("p", { class: "soft" }, (["red", "green", "blue"] as const).map((colour, index) => `${t(colour)} ${names[index]}`).join(" · "));
  }
  const unit = style.decibels !== null ? " dB" : layer.units !== null && layer.units !== "uint8" ? ` ${layer.units}` : "";
  const heat = layer.kind === "error" || layer.kind === "product";
  const text = (value: number | undefined) => `${Number((value ?? 0).toPrecision(3))}${unit}`;
  return h(
    "div",
    { class: "legend" },
    h("span", {}, `${layer.bands[(style.bands[0] ?? 1) - 1] ?? ""}: ${text(style.low[0])}`),
    h("i", { class: heat ? "ramp heat" : "ramp" }),
    h("span", {}, text(style.high[0])),
  );
}
