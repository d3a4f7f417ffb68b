import { api, Refusal, type Scene } from "./api";
import { h } from "./dom";
import { t } from "./i18n";
import type { Store } from "./store";

/** Files on their way to the server. */
export class Uploads {
  private readonly sending = new Map<string, number>();

  constructor(
    private readonly store: Store,
    private readonly fail: (error: unknown) => void,
    private readonly moved: () => void,
  ) {}

  /** Send files; the scenes of those that were taken, in the order of the files. Each refusal is told. */
  async send(files: File[]): Promise<Scene[]> {
    const sent = await Promise.all(files.map((file) => this.one(file)));
    const taken = sent.filter((scene) => scene !== null);
    if (taken.length > 0) [this.store.info] = [await api.info(), this.store.take(await api.catalogue())];
    return taken;
  }

  progress(): HTMLElement[] {
    return [...this.sending].map(([name, share]) =>
      h("p", { role: "status" }, t("uploading", { name, share: Math.round(share * 100) }), h("progress", { max: 1, value: share })),
    );
  }

  private async one(file: File): Promise<Scene | null> {
    const report = (share: number) => {
      this.sending.set(file.name, share);
      this.moved();
    };
    report(0);
    try {
      return await api.upload(file, report);
    } catch (error) {
      this.fail(error instanceof Refusal && error.status === 0 ? new Refusal(0, t("connection")) : error);
      return null;
    } finally {
      this.sending.delete(file.name);
      this.moved();
    }
  }
}

/** A button that asks for rasters, with the hidden field that it opens. */
export function chooser(text: string, key: string, kind: string, chosen: (files: File[]) => void): HTMLElement {
  const input: HTMLInputElement = h("input", {
    type: "file",
    accept: ".tif,.tiff,.png,image/tiff,image/png",
    multiple: true,
    class: "hidden",
    "aria-hidden": "true",
    tabindex: -1,
    change: () => chosen([...(input.files ?? [])]),
  });
  return h("span", { class: kind === "wide" ? "wide" : null }, h("button", { type: "button", class: kind, "data-key": key, click: () => input.click() }, text), input);
}
