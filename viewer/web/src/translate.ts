import { api, type Card, type Companion, type Image, type Job, type Layer, type Translator } from "./api";
import { h, refill, select } from "./dom";
import { language, named, t } from "./i18n";
import { spoken, told } from "./messages";
import { bandTitle, layerTitle } from "./titles";
import { guessParts, type Part } from "./parts";
import { isEmpty, type Store } from "./store";
import { chooser, type Uploads } from "./uploads";

const METRICS = ["psnr", "ssim", "mae", "collapse_ratio"] as const;
const UNLIKE = 1.5;
/** What a translator must take for a raster to come with its image. */
const ROLES: Partial<Record<Companion, string>> = { reference: "optical_reference", reference_sar: "sar_reference" };

/** The form of a translation, with the card of the chosen translator. */
export class TranslatePanel {
  readonly element = h("div", { class: "panel" });
  private layer: string | null = null;
  private translator: string | null = null;
  private direction = "";
  private bands: string[] = [];
  /** Null until it is known what fits the chosen layer. */
  private units: string | null = null;
  private realism: number | null = null;
  private reliability = false;
  private companions: Partial<Record<Companion, string>> = {};
  /** Ids of the layers that were added here, each of which can be given a part. */
  private added: string[] = [];

  constructor(
    private readonly store: Store,
    private readonly uploads: Uploads,
    private readonly fail: (error: unknown) => void,
    private readonly warn: (text: string) => void,
    private readonly submitted: () => void,
  ) {}

  render(): void {
    const layers = this.store.scene?.layers.filter((one) => one.kind !== "error" && one.kind !== "product") ?? [];
    const layer = layers.find((one) => one.id === this.layer) ?? layers[0];
    const add = [chooser(t("addDates"), "add-dates", "wide", (files) => this.take(files)), ...this.uploads.progress()];
    if (layer === undefined) {
      refill(this.element, ...add, h("p", { class: "soft" }, t("noScene")));
      return;
    }
    if (this.layer !== layer.id || !this.translator) {
      this.layer = layer.id;
      this.suit(layer);
    }
    const known = this.store.translators.find((one) => one.name === this.translator);
    const inputs = layers.map((one): [string, string] => [one.id, `${layerTitle(one)}: ${one.name.split("/").pop()}`]);
    const translators = this.store.translators.flatMap((one) =>
      one.directions.map((way): [string, string] => [`${way} ${one.name}`, `${one.name} (${named(way, way)})`]),
    );
    refill(
      this.element,
      h("h2", {}, t("translateThis")),
      ...add,
      ...this.addedFields(),
      select(t("input"), inputs, layer.id, (id) => {
        this.layer = id;
        this.suit(layers.find((one) => one.id === id) ?? layer);
        this.render();
      }),
      select(t("translator"), translators, `${this.direction} ${this.translator}`, (value) => {
        const [way, ...name] = value.split(" ");
        this.pick(name.join(" "), way ?? "");
        this.render();
      }),
      known !== undefined && this.form(layer, known),
    );
  }

  /** Fill the form with the settings of a job, to change and send again. */
  async repeat(job: Job): Promise<void> {
    const { request } = job;
    await this.store.choose(this.store.holder(job.layer)?.id);
    await this.store.detail(job.layer);
    this.layer = job.layer;
    this.pick(job.translator, request.direction);
    this.bands = request.bands?.map((band) => band ?? "") ?? [];
    this.units = request.units ?? "";
    this.realism = request.realism;
    this.reliability = request.reliability;
    this.companions = { ...request.companions };
    this.render();
  }

  /** Send images and guess what each is for. */
  take(files: File[]): void {
    this.placed(files).catch(this.fail);
  }

  private async placed(files: File[]): Promise<void> {
    const sent = await this.uploads.send(files);
    if (sent.length === 0) return;
    this.added = [...this.added.filter((id) => this.partOf(id) !== ""), ...sent.flatMap((scene) => scene.layers.map((layer) => layer.id))];
    const { input, ...companions } = guessParts(this.addedLayers(), this.store.layer(this.layer));
    if (input === undefined) return;
    await this.translated(input);
    const wanted = (Object.keys(companions) as Companion[]).flatMap((name) => ROLES[name] ?? []);
    const layer = this.store.layer(input);
    if (layer !== null && !wanted.every((role) => this.takes(role))) this.suit(layer, wanted);
    for (const role of wanted) if (!this.takes(role)) this.warn(t("takesNone", { kind: named(`kind_${role}`, role) }));
    this.companions = companions;
    this.render();
  }

  /** Choose what is translated and keep the rest of the form. */
  private async translated(id: string): Promise<void> {
    if (id === this.layer) return;
    const kept = { translator: this.translator, direction: this.direction, companions: this.companions };
    const role = this.inputs()[0]?.role;
    await this.store.choose(this.store.holder(id)?.id);
    this.layer = id;
    const layer = this.store.layer(id);
    if (layer !== null) this.suit(layer);
    if (role === layer?.role) Object.assign(this, kept);
  }

  private addedLayers(): Layer[] {
    const layers = this.store.catalogue.scenes.flatMap((scene) => scene.layers);
    return this.added.flatMap((id) => layers.find((layer) => layer.id === id) ?? []);
  }

  private partOf(id: string): Part | "" {
    if (id === this.layer) return "input";
    return this.asked().find((name) => this.companions[name] === id) ?? "";
  }

  private addedFields(): HTMLElement[] {
    return this.addedLayers().map((layer) => {
      const options = ["", "input", ...this.asked(true)] as const;
      const names = options.map((part): [string, string] => [part, part === "" ? t("none") : t(part)]);
      const field = select(layer.name, names, this.partOf(layer.id), (part) => void this.assign(layer.id, part as Part | "").catch(this.fail));
      field.classList.add("added");
      return field;
    });
  }

  /** Give an added image another part. The image that is translated changes places with the one that had this part. */
  private async assign(id: string, part: Part | ""): Promise<void> {
    const before = this.partOf(id);
    const holder = this.added.find((other) => other !== id && this.partOf(other) === part);
    if (before === "input") {
      if (holder === undefined) this.warn(t("needsInput"));
      else {
        if (part !== "") Object.assign(this.companions, { [part]: id });
        await this.translated(holder);
      }
    } else {
      if (before !== "") delete this.companions[before];
      if (part === "input") await this.translated(id);
      else if (part !== "") this.companions[part] = id;
    }
    this.render();
  }

  private form(layer: Layer, known: Translator): HTMLElement {
    const { card } = known;
    const [source, target] = ends(card, this.direction);
    const ratio = layer.pixel_m === null ? 1 : Math.max(layer.pixel_m / card.gsd_m, card.gsd_m / layer.pixel_m);
    const names: [string, string][] = [["", t("byName")], ...layer.bands.map((band): [string, string] => [band, bandTitle(band)])];
    return h(
      "div",
      {},
      layer.role !== source.role && h("p", { class: "warning" }, t("otherKind", { kind: named(`kind_${source.role}`, source.role) })),
      ratio > UNLIKE && h("p", { class: "warning" }, t("otherSize", { scene: Number((layer.pixel_m ?? 0).toPrecision(3)), card: card.gsd_m })),
      ...source.bands.map((band, index) =>
        select(t("bandFor", { name: bandTitle(band) }), names, this.bands[index] ?? "", (value) => {
          this.bands[index] = value;
        }),
      ),
      source.role !== "optical" && this.unitsField(layer, source),
      ...this.companionFields(),
      card.realism !== null && this.realismField(card.realism),
      card.directions[this.direction]?.reliability != null && this.reliabilityField(),
      h("button", { type: "button", class: "primary wide", "data-key": "start", click: () => this.submit(source) }, t("start")),
      h("p", { class: "notice" }, t("notice")),
      cardFacts(card, source, target),
    );
  }

  /** The units of the input. What the folder, the tags or the names of its bands state is chosen beforehand where the values agree; else what
   * alone fits the values, sigma0 where gamma0 fits as well. */
  private unitsField(layer: Layer, source: Image): HTMLElement {
    const detail = layer.role === "sar" ? this.store.details.get(layer.id) : undefined;
    const fitting = detail?.fitting_units ?? [];
    const empty = detail !== undefined && isEmpty(detail);
    const stated = layer.stated_units;
    const alike = new Set(fitting.map((unit) => unit.replace("gamma0", "sigma0"))).size === 1;
    const only = alike ? (fitting[0] ?? null) : null;
    if (this.units === null && detail !== undefined) this.units = stated !== null && fitting.includes(stated) ? stated : (only ?? "");
    const chosen = this.units || source.units;
    const options = (this.store.info?.units ?? []).map((unit): [string, string] => [unit, empty || fitting.includes(unit) ? unit : t("unfitUnits", { unit })]);
    return h(
      "div",
      {},
      select(t("units"), [["", t("asCard", { units: told(source.units) })], ...options], this.units ?? "", (value) => {
        this.units = value;
        this.render();
      }),
      empty && h("p", { class: "warning" }, t("noPixel")),
      detail !== undefined && !empty && !fitting.includes(chosen) && h("p", { class: "warning" }, t("unitsDisagree", { units: chosen, fitting: fitting.join(", ") || "–" })),
      detail !== undefined && chosen === stated && h("p", { class: "soft" }, t("unitsStated", { units: chosen })),
      chosen !== stated && chosen === only && h("p", { class: "soft" }, t("unitsOnly", { fitting: fitting.join(", ") })),
    );
  }

  private takes(role: string): boolean {
    return this.inputs().some((one) => one.role === role);
  }

  private inputs(): Image[] {
    return this.store.translators.find((one) => one.name === this.translator)?.card.directions[this.direction]?.inputs ?? [];
  }

  /** The rasters that can come with the image: masks only of those that are chosen, unless `all` are asked for. */
  private asked(all = false): Companion[] {
    const card = this.store.translators.find((one) => one.name === this.translator)?.card;
    const optical = card !== undefined && ends(card, this.direction)[1].role === "optical";
    const asked: Companion[] = [];
    if (this.takes("optical_reference")) asked.push("reference");
    if (this.takes("optical_reference") && (all || this.companions.reference)) asked.push("reference_mask");
    if (this.takes("sar_reference")) asked.push("reference_sar");
    if (optical) asked.push("keep_clear");
    if (optical && (all || this.companions.keep_clear)) asked.push("keep_clear_mask");
    return asked;
  }

  /** Selects for earlier images, for a mask of each that is chosen, and for today's clear pixels. */
  private companionFields(): HTMLElement[] {
    const layers = (this.store.catalogue.scenes ?? []).flatMap((scene) => scene.layers);
    const all: [string, string][] = [["", t("none")], ...layers.map((one): [string, string] => [one.id, one.name])];
    return this.asked().map((name) =>
      select(t(name), all, this.companions[name] ?? "", (id) => {
        if (id === "") delete this.companions[name];
        else this.companions[name] = id;
        this.render();
      }),
    );
  }

  private realismField(usual: number): HTMLElement {
    const value = h("output", {}, String(this.realism ?? usual));
    const slider: HTMLInputElement = h("input", {
      type: "range",
      min: 0,
      max: 1,
      step: 0.05,
      value: this.realism ?? usual,
      title: t("realismHelp"),
      input: () => {
        this.realism = slider.valueAsNumber;
        value.value = String(this.realism);
      },
    });
    return h("label", { class: "field" }, h("span", {}, t("realism"), " ", value), slider, h("small", { class: "soft" }, t("realismHelp")));
  }

  private reliabilityField(): HTMLElement {
    const box: HTMLInputElement = h("input", {
      type: "checkbox",
      checked: this.reliability,
      "data-key": "reliability",
      change: () => {
        this.reliability = box.checked;
      },
    });
    return h("label", { class: "field" }, h("span", {}, box, " ", t("reliability")), h("small", { class: "soft" }, t("reliabilityHelp")));
  }

  /** The translator for this kind of layer and these other inputs that takes most of its bands, then its data type, then no other
   * band; else one that needs no image besides them; and the units that its folder states. */
  private suit(layer: Layer, wanted: string[] = []): void {
    const names = layer.bands.flatMap((band) => [band.toLowerCase(), ...band.toLowerCase().split(/[^a-z0-9]+/)]);
    const unlike = (source: Image) => layer.stated_units === "amplitude" && /^(sigma0|gamma0)/.test(source.units);
    const ways = this.store.translators.flatMap((one) => one.directions.map((way) => ({ one, way, source: ends(one.card, way)[0] })));
    const inputs = (one: Translator, way: string) => one.card.directions[way]?.inputs ?? [];
    const able = ways.filter(({ one, way, source }) => source.role === (layer.role ?? "sar") && wanted.every((role) => inputs(one, way).some((image) => image.role === role)));
    const taken = (source: Image) => source.bands.filter((band) => names.includes(band.toLowerCase())).length;
    const rank = ({ one, way, source }: (typeof ways)[number]) =>
      (inputs(one, way).length === 1 + wanted.length ? 1000 : 0) - (unlike(source) ? 100 : 0) + 10 * taken(source) + (source.dtype === layer.dtype ? 2 : 0) + (taken(source) === source.bands.length ? 1 : 0);
    const fits = able
      .filter(({ source }) => taken(source) === source.bands.length || (source.partial && taken(source) > 0))
      .sort((a, b) => rank(b) - rank(a))[0];
    if (wanted.length > 0 && able.length === 0) return;
    const alone = able.find(({ one, way }) => inputs(one, way).length === 1 + wanted.length);
    const found = fits ?? alone ?? able[0] ?? ways[0];
    this.units = null;
    this.pick(found?.one.name ?? "", found?.way ?? "");
    if (found !== undefined)
      this.store
        .detail(layer.id)
        .then(() => this.render())
        .catch(this.fail);
  }

  private pick(name: string, direction: string): void {
    this.translator = name;
    this.direction = direction;
    this.bands = [];
    this.realism = null;
    this.reliability = false;
    this.companions = {};
  }

  private submit(source: Image): void {
    if (this.layer === null || this.translator === null) return;
    const chosen = source.bands.map((_, index) => this.bands[index] || null);
    api
      .submit({
        layer: this.layer,
        translator: this.translator,
        direction: this.direction,
        bands: chosen.some((band) => band !== null) ? chosen : null,
        units: this.units || null,
        realism: this.realism,
        reliability: this.reliability,
        companions: Object.fromEntries(this.asked().flatMap((name) => (this.companions[name] ? [[name, this.companions[name]]] : []))),
      })
      .then(() => {
        this.added = [];
        this.submitted();
      })
      .catch(this.fail);
  }
}

/** The first input and the output of a direction. */
function ends(card: Card, direction: string): [Image, Image] {
  const described = card.directions[direction];
  const [source] = described?.inputs ?? [];
  const [target] = described?.outputs ?? [];
  if (source === undefined || target === undefined) throw new Error(`${card.name}: ${direction}`);
  return [source, target];
}

function cardFacts(card: Card, source: Image, target: Image): HTMLElement {
  const side = (one: Image) => `${one.bands.map(bandTitle).join(", ")} (${told(one.units)})`;
  const facts: [string, string][] = [
    [t("whereFails"), card.notes],
    [t("trainedOn"), t("trained", { data: told(card.training.data), split: told(card.training.split), n: card.training.steps })],
    [t("takes"), side(source)],
    [t("makes"), side(target)],
    [t("pixelSize"), `${card.gsd_m} m`],
    [t("licence"), card.licence],
    [t("attribution"), card.training.attribution],
  ];
  const rows = Object.entries(card.quality).map(([name, figures]) => {
    const place = name.lastIndexOf(": ");
    return { data: place < 0 ? "" : name.slice(0, place), name: name.slice(place < 0 ? 0 : place + 2), figures };
  });
  return h(
    "section",
    { class: "card" },
    h("h3", {}, card.name),
    h("dl", {}, ...facts.filter(([, text]) => text !== "").flatMap(([name, text]) => [h("dt", {}, name), h("dd", {}, spoken(text))])),
    rows.length > 0 &&
      h(
        "details",
        {},
        h("summary", {}, t("quality")),
        h(
          "div",
          { class: "scroll" },
          h(
            "table",
            {},
            h("thead", {}, h("tr", {}, h("th", {}), ...METRICS.map((metric) => h("th", { scope: "col" }, t(metric))))),
            h(
              "tbody",
              {},
              ...rows.flatMap(({ data, name, figures }, index) => [
                data !== rows[index - 1]?.data && h("tr", {}, h("th", { colspan: METRICS.length + 1, class: "soft" }, spoken(data))),
                h("tr", {}, h("th", { scope: "row" }, language() === "zh" ? spoken(name) : name.replaceAll("_", " ")), ...METRICS.map((metric) => h("td", {}, figures[metric] === undefined ? "–" : Number(figures[metric].toPrecision(3)).toString()))),
              ]),
            ),
          ),
        ),
      ),
  );
}
