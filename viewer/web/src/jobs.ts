import { api, filePath, type Job } from "./api";
import { h, refill } from "./dom";
import { language, t } from "./i18n";
import { spoken } from "./messages";
import type { Store } from "./store";

const BUSY_MS = 700;
const IDLE_MS = 5000;
const progressText = (job: Job): string => (job.total > 0 ? t("tiles", { done: job.done, total: job.total }) : t("preparing"));
const outline = (jobs: Job[]): string => JSON.stringify(jobs.map((job) => [job.id, job.state, job.message]));
const active = (job: Job): boolean => job.state === "queued" || job.state === "running";

/** The translation jobs, watched as long as the page is open. */
export class JobsPanel {
  readonly element = h("div", { class: "panel" });
  private timer: number | undefined;
  private drawn = "";

  constructor(
    private readonly store: Store,
    private readonly fail: (error: unknown) => void,
    private readonly say: (text: string) => void,
    private readonly warn: (text: string, reason?: string) => void,
    private readonly shown: () => void,
    private readonly counted: () => void,
    private readonly again: (job: Job) => void,
  ) {}

  get active(): number {
    return this.store.jobs.filter(active).length;
  }

  /** Ask for the jobs now, and again and again. */
  async watch(): Promise<void> {
    window.clearTimeout(this.timer);
    try {
      await this.update(await api.jobs());
    } catch (error) {
      this.fail(error);
    }
    this.timer = window.setTimeout(() => void this.watch(), this.active > 0 ? BUSY_MS : IDLE_MS);
  }

  render(): void {
    this.drawn = outline(this.store.jobs);
    refill(
      this.element,
      this.store.jobs.length === 0 && h("p", { class: "soft" }, t("noJobs")),
      ...this.store.jobs.map((job) => this.item(job)),
    );
  }

  private async update(jobs: Job[]): Promise<void> {
    const before = new Map(this.store.jobs.map((job) => [job.id, job]));
    const ended = jobs.filter((job) => !active(job) && active(before.get(job.id) ?? job));
    this.store.jobs = jobs;
    for (const job of ended) {
      if (job.state === "failed") this.warn(t("jobFailed", { name: job.source }), job.message);
      if (job.state === "done") this.say(t("jobDone", { name: job.source }));
    }
    const done = ended.filter((job) => job.state === "done");
    const gone = [...before.values()].some((job) => job.result !== null && !jobs.some((one) => one.id === job.id));
    if (done.length > 0 || gone) {
      this.store.take(await api.catalogue());
      await this.store.load();
      this.store.changed();
      const here = done.find((job) => job.scene === this.store.scene?.id);
      if (here !== undefined) await this.store.choose(here.scene, here.result);
    }
    if (outline(jobs) === this.drawn) this.advance();
    else this.render();
    this.counted();
  }

  /** Move the progress on without drawing anew: a button must not vanish under the pointer. */
  private advance(): void {
    for (const job of this.store.jobs) {
      const section = this.element.querySelector(`[data-job="${job.id}"]`);
      const bar = section?.querySelector("progress");
      if (!section || !bar) continue;
      if (job.total > 0) bar.value = job.done / job.total;
      section.querySelector("small")?.replaceChildren(progressText(job));
    }
  }

  private item(job: Job): HTMLElement {
    const act = (key: string, action: () => Promise<unknown>, text: string) =>
      h("button", { type: "button", "data-key": `${key}-${job.id}`, click: () => void action().then(() => this.watch()).catch(this.fail) }, text);
    const open = async () => {
      this.store.take(await api.catalogue());
      await this.store.choose(this.store.holder(job.result)?.id, job.result);
      this.shown();
    };
    const remove = async () => {
      await api.removeJob(job.id);
      this.store.take(await api.catalogue());
      this.store.info = await api.info();
      await this.store.load();
      this.store.changed();
    };
    const known = this.store.holder(job.layer) !== undefined;
    const share = job.total > 0 ? job.done / job.total : undefined;
    return h(
      "section",
      { class: `job ${job.state}`, "data-state": job.state, "data-job": job.id },
      h("div", { class: "row" }, h("strong", {}, job.source.split("/").pop() ?? job.source), h("span", { class: `chip ${job.state}` }, t(`state_${job.state}`))),
      h("p", { class: "soft" }, `${job.translator} · ${new Date(job.created * 1000).toLocaleString(language() === "zh" ? "zh-CN" : "en-GB")}`),
      job.state === "running" &&
        h(
          "div",
          {},
          h("progress", { max: 1, value: share, "aria-label": job.source }),
          h("small", {}, progressText(job)),
        ),
      job.message !== "" && h("p", { class: "warning" }, spoken(job.message)),
      job.seam !== null && h("p", { class: "soft" }, t("seam", { share: ((job.seam / 2) * 100).toFixed(1) })),
      h(
        "div",
        { class: "row" },
        active(job) && act("cancel", () => api.cancel(job.id), t("cancel")),
        job.result !== null && h("button", { type: "button", class: "primary", "data-key": `show-${job.id}`, click: () => void open().catch(this.fail) }, t("show")),
        job.result !== null && h("a", { class: "button", href: filePath(job.result), download: "", title: t("tiffTitle") }, t("tiff")),
        !active(job) && known && h("button", { type: "button", "data-key": `again-${job.id}`, click: () => this.again(job) }, t("again")),
        !active(job) && act("remove", remove, t("remove")),
      ),
    );
  }
}
