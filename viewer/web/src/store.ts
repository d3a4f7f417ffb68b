import { api, type Catalogue, type Info, type Job, type Layer, type LayerDetail, Refusal, type Scene, type Style, type Translator } from "./api";
import type { World } from "./base";

/** Places of the map, from left to right. */
export const SLOTS = ["left", "middle", "right"] as const;
export type Slot = (typeof SLOTS)[number];

/** Whether no valid pixel was found in a layer. */
export const isEmpty = (detail: LayerDetail): boolean => detail.percentiles.every((band) => band.every((value) => value === null));

/** Everything the page shows; whoever changes it calls `changed`. */
export class Store {
  info: Info | null = null;
  catalogue: Catalogue = { scenes: [], reports: [], refused: [] };
  translators: Translator[] = [];
  jobs: Job[] = [];
  scene: Scene | null = null;
  readonly slots: Record<Slot, string | null> = { left: null, middle: null, right: null };
  /** A layer over all others. */
  over: string | null = null;
  /** Whether coasts, borders and places are drawn below the layers. */
  base = localStorage.getItem("saropt-base") !== "no";
  world: World | null = null;
  apart = localStorage.getItem("saropt-apart") === "yes";
  readonly details = new Map<string, LayerDetail>();
  readonly styles = new Map<string, Style>();
  readonly opacities = new Map<string, number>();
  private readonly listeners: (() => void)[] = [];

  listen(listener: () => void): void {
    this.listeners.push(listener);
  }

  changed(): void {
    for (const listener of this.listeners) listener();
  }

  layer(id: string | null): Layer | null {
    return this.scene?.layers.find((layer) => layer.id === id) ?? null;
  }

  /** The layers on the map, from left to right. */
  get shown(): Layer[] {
    return SLOTS.map((slot) => this.layer(this.slots[slot])).filter((layer): layer is Layer => layer !== null);
  }

  get onMap(): Layer[] {
    const over = this.layer(this.over);
    return over === null ? this.shown : [...this.shown, over];
  }

  take(catalogue: Catalogue): void {
    this.catalogue = catalogue;
    if (this.scene !== null) this.scene = catalogue.scenes.find((scene) => scene.id === this.scene?.id) ?? null;
    for (const slot of SLOTS) if (this.layer(this.slots[slot]) === null) this.slots[slot] = null;
    this.slots.left ??= this.scene?.layers[0]?.id ?? null;
  }

  /** The scene that holds a layer. */
  holder(layer: string | null): Scene | undefined {
    return this.catalogue.scenes.find((scene) => scene.layers.some((one) => one.id === layer));
  }

  /** Choose a scene, or any for an empty id: itself on the left, a translation beside it, what the translation should be on the right.
   * One that is gone is refused. */
  async choose(id: string | undefined, guess: string | null = null): Promise<void> {
    const { scenes } = this.catalogue;
    const any = id === "" ? (scenes.find((one) => one.layers.length > 1) ?? scenes[0] ?? null) : undefined;
    const scene = scenes.find((one) => one.id === id) ?? any;
    if (scene === undefined) throw new Refusal(404, "no such scene");
    this.scene = scene;
    this.over = null;
    const [first, ...beside] = scene?.layers ?? [];
    const made = beside.find((layer) => layer.id === guess) ?? beside.findLast((layer) => layer.kind === "translation") ?? null;
    const truth = beside.find((layer) => layer !== made && layer.role !== null && layer.kind !== "translation" && layer.role === made?.role) ?? null;
    this.slots.left = first?.id ?? null;
    this.slots.middle = truth === null ? null : (made?.id ?? null);
    this.slots.right = (truth ?? made ?? beside[0])?.id ?? null;
    if (scene !== null) history.replaceState(null, "", `#scene=${scene.id}`);
    await this.load();
    this.changed();
  }

  /** The details of the shown layers. */
  async load(): Promise<void> {
    const wanted = this.onMap.map((layer) => layer.id);
    await Promise.all(wanted.map((id) => this.detail(id)));
  }

  /** The details of a layer of the scene, asked for unless they are known. */
  async detail(id: string): Promise<void> {
    if (this.fresh(id)) return;
    const detail = await api.layer(id);
    this.details.set(id, detail);
    this.styles.set(id, detail.style);
  }

  private fresh(id: string): boolean {
    return this.details.get(id)?.version === this.layer(id)?.version;
  }
}
