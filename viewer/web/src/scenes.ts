import { api, type Scene, thumbnailPath } from "./api";
import { h, refill } from "./dom";
import { t } from "./i18n";
import { spoken } from "./messages";
import type { Store } from "./store";
import { chooser, type Uploads } from "./uploads";

const MANY = 8;

/** The catalogue with thumbnails, and uploads. */
export class ScenesPanel {
  readonly element = h("div", { class: "panel" });
  private readonly folded = new Set<string>();
  private filter = "";

  constructor(
    private readonly store: Store,
    private readonly uploads: Uploads,
    private readonly fail: (error: unknown) => void,
    private readonly chosen: () => void,
  ) {}

  render(): void {
    const { scenes, refused } = this.store.catalogue;
    const wanted = this.filter.toLowerCase();
    const shown = scenes.filter((scene) => `${scene.name} ${dateOf(scene)}`.toLowerCase().includes(wanted));
    const folders = new Map<string, Scene[]>();
    for (const scene of shown) folders.set(folderOf(scene), [...(folders.get(folderOf(scene)) ?? []), scene]);
    const search: HTMLInputElement = h("input", {
      type: "search",
      value: this.filter,
      placeholder: t("find"),
      "aria-label": t("find"),
      "data-key": "find",
      input: () => {
        this.filter = search.value;
        this.render();
      },
    });
    refill(
      this.element,
      h(
        "div",
        { class: "row" },
        chooser(t("upload"), "upload", "primary", (files) => this.send(files)),
        h("button", { type: "button", "data-key": "scan", click: () => this.scan() }, t("scan")),
      ),
      ...this.uploads.progress(),
      scenes.length > MANY && search,
      scenes.length === 0 && h("p", { class: "soft" }, t("noScenes")),
      ...[...folders].map(([folder, held]) => this.folder(folder, held, folders.size > 1)),
      refused.length > 0 &&
        h(
          "details",
          {},
          h("summary", {}, t("refused", { n: refused.length })),
          h("ul", { class: "soft" }, ...refused.map((one) => h("li", {}, `${one.name}: `, spoken(one.reason)))),
        ),
      this.store.info !== null &&
        h("p", { class: "soft" }, t("quota", { used: gigabytes(this.store.info.used_bytes), quota: gigabytes(this.store.info.quota_bytes) })),
    );
    if (search.isConnected && document.activeElement === search) search.setSelectionRange(search.value.length, search.value.length);
  }

  send(files: File[]): void {
    this.uploads
      .send(files)
      .then(async (scenes) => {
        const last = scenes.at(-1);
        if (last !== undefined) await this.store.choose(last.id);
      })
      .catch(this.fail);
  }

  /** The scenes of a folder by date, then by name; under a heading that folds them where there are several folders. */
  private folder(name: string, scenes: Scene[], several: boolean): HTMLElement {
    const key = (scene: Scene) => `${dateOf(scene)} ${scene.name}`;
    const sorted = scenes.toSorted((one, other) => (key(one) < key(other) ? -1 : 1));
    const list = h("ul", { class: "scenes" }, ...sorted.map((scene) => this.item(scene)));
    if (!several) return list;
    const box: HTMLDetailsElement = h(
      "details",
      { open: !this.folded.has(name), class: "folder", toggle: () => (box.open ? this.folded.delete(name) : this.folded.add(name)) },
      h("summary", { "data-key": `folder-${name}` }, h("strong", {}, name), " ", h("small", { class: "soft" }, String(scenes.length))),
      list,
    );
    return box;
  }

  private item(scene: Scene): HTMLElement {
    const [first] = scene.layers;
    const kinds = [...new Set(scene.layers.map((layer) => layer.kind))];
    const name = scene.name.split("/").pop() ?? scene.name;
    const current = this.store.scene?.id === scene.id;
    const choose = () =>
      this.store
        .choose(scene.id)
        .then(this.chosen)
        .catch(this.fail);
    return h(
      "li",
      {},
      h(
        "button",
        { type: "button", class: "scene", "aria-current": current ? "true" : null, "data-key": scene.id, click: choose, title: scene.name },
        first !== undefined && h("img", { src: thumbnailPath(first), alt: "", loading: "lazy", width: 64, height: 64 }),
        h(
          "span",
          {},
          h("strong", {}, name),
          dateOf(scene) !== "" && h("small", {}, dateOf(scene).replace("T", " ").replace("Z", " UTC")),
          first !== undefined && h("small", { class: "soft" }, `${first.width} × ${first.height}${first.pixel_m ? ` · ${Number(first.pixel_m.toPrecision(3))} m` : ""}`),
          h("span", { class: "chips" }, ...kinds.map((kind) => h("i", { class: `chip ${kind}` }, t(`kind_${kind}`)))),
        ),
      ),
      scene.origin === "upload" && h("button", { type: "button", class: "plain", "aria-label": `${t("remove")}: ${name}`, title: t("remove"), click: () => this.remove(scene) }, "×"),
    );
  }

  private scan(): void {
    api
      .scan()
      .then((catalogue) => {
        this.store.take(catalogue);
        this.store.changed();
      })
      .catch(this.fail);
  }

  private remove(scene: Scene): void {
    api
      .removeScene(scene.id)
      .then(async () => {
        this.store.take(await api.catalogue());
        this.store.info = await api.info();
        this.store.changed();
      })
      .catch(this.fail);
  }
}

const dateOf = (scene: Scene): string => scene.layers[0]?.acquired ?? "";

/** The folder of a scene; of a data root the root itself. */
function folderOf(scene: Scene): string {
  if (scene.origin !== "folder") return t(scene.origin === "upload" ? "uploads" : "translations");
  const parts = scene.name.split("/").slice(0, -1);
  if (["sar", "optical"].includes(parts.at(-1) ?? "")) parts.pop();
  return parts.join("/") || "/";
}

const gigabytes = (bytes: number): string => (bytes / 1e9).toFixed(bytes < 1e10 ? 2 : 0);
