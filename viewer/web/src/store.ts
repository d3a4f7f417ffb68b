import { api, type Catalogue, type Info, type Job, type Layer, type LayerDetail, type Scene, type Style, type Translator } from "./api";

/** Everything the page shows; whoever changes it calls `changed`. */
export class Store {
  info: Info | null = null;
  catalogue: Catalogue = { scenes: [], reports: [], refused: [] };
  translators: Translator[] = [];
  jobs: Job[] = [];
  scene: Scene | null = null;
  left: string | null = null;
  right: string | null = null;
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

  take(catalogue: Catalogue): void {
    this.catalogue = catalogue;
    if (this.scene !== null) {
      const again = catalogue.scenes.find((scene) => scene.id === this.scene?.id) ?? null;
      this.scene = again;
      if (again === null) this.left = this.right = null;
    }
    if (this.layer(this.left) === null) this.left = this.scene?.layers[0]?.id ?? null;
    if (this.layer(this.right) === null) this.right = null;
  }

  /** Choose a scene: itself on the left; a translation, else the reference, on the right. */
  async choose(id: string, right: string | null = null): Promise<void> {
    const scene = this.catalogue.scenes.find((one) => one.id === id) ?? this.catalogue.scenes[0] ?? null;
    this.scene = scene;
    this.left = scene?.layers[0]?.id ?? null;
    const beside = scene?.layers.filter((layer) => layer.id !== this.left) ?? [];
    const best = beside.findLast((layer) => layer.kind === "translation") ?? beside[0] ?? null;
    this.right = beside.find((layer) => layer.id === right)?.id ?? best?.id ?? null;
    if (scene !== null) history.replaceState(null, "", `#scene=${scene.id}`);
    await this.load();
    this.changed();
  }

  /** The details of the shown layers. */
  async load(): Promise<void> {
    const wanted = [this.left, this.right].filter((id): id is string => id !== null && !this.fresh(id));
    for (const detail of await Promise.all(wanted.map((id) => api.layer(id)))) {
      this.details.set(detail.id, detail);
      this.styles.set(detail.id, detail.style);
    }
  }

  private fresh(id: string): boolean {
    return this.details.get(id)?.version === this.layer(id)?.version;
  }
}
