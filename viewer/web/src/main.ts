import { worldOf } from "./base";
import { bandTitle, layerTitle } from "./titles";
import { api, type Layer, type Point, Refusal, reportPath } from "./api";
import { h, refill } from "./dom";
import { type Key, language, setLanguage, t } from "./i18n";
import { JobsPanel } from "./jobs";
import { spoken, told } from "./messages";
import { LayersPanel } from "./layers";
import type { Pane } from "./frame";
import { Board, degrees, type Place } from "./map";
import { ScenesPanel } from "./scenes";
import { SLOTS, type Slot, Store } from "./store";
import { Uploads } from "./uploads";
import { TranslatePanel } from "./translate";

const TABS = ["scenes", "layers", "translate", "jobs", "reports"] as const;
type Tab = (typeof TABS)[number];
const MESSAGE_MS = 9000;

const store = new Store();
const news = h("div", { role: "status", "aria-live": "polite" });
const errors = h("div", { class: "errors", role: "alert" });
const messages = h("div", { class: "messages" }, errors, news);
const readout = h("aside", { class: "readout", hidden: true, "aria-live": "polite" });
const labels = h("div", { class: "labels" });
const tabButtons = Object.fromEntries(TABS.map((name) => [name, makeTab(name)])) as Record<Tab, HTMLButtonElement>;
const tabs = h("div", { class: "tabs", role: "tablist" }, ...Object.values(tabButtons));
const header = h("header", {});
const reports = h("div", { class: "panel" });
const map = new Board(
  (place) => void read(place).catch(fail),
  () => {
    store.apart = !store.apart;
    localStorage.setItem("saropt-apart", store.apart ? "yes" : "no");
    store.changed();
  },
  () => {
    store.base = !store.base;
    localStorage.setItem("saropt-base", store.base ? "yes" : "no");
    store.changed();
  },
);
const uploads = new Uploads(store, fail, () => {
  scenes.render();
  translate.render();
});
const scenes = new ScenesPanel(store, uploads, fail, () => undefined);
const layers = new LayersPanel(store, fail, draw);
const translate = new TranslatePanel(store, uploads, fail, warn, () => {
  say(t("started"));
  show("jobs");
  void jobs.watch();
});
const jobs = new JobsPanel(store, fail, say, warn, () => show("layers"), reached, (job) => {
  show("translate");
  translate.repeat(job).catch(fail);
});
const panels: Record<Tab, HTMLElement> = {
  scenes: scenes.element,
  layers: layers.element,
  translate: translate.element,
  jobs: jobs.element,
  reports,
};
const sidebar = h("div", { class: "sidebar", inert: true }, tabs, ...Object.values(panels));
let tab: Tab = "scenes";
/** Counts the clicks on the map, so that a late answer is known as one. */
let asked = 0;
let reading: { scene: string | undefined; place: Place; points: { layer: Layer; point: Point | null }[] } | null = null;

function say(text: string): void {
  const message = h("p", {}, text);
  news.append(message);
  window.setTimeout(() => message.remove(), MESSAGE_MS);
}

/** An error stays until it is closed, and that the server does not answer until it does; the same one is not shown twice. */
function warn(text: string, reason = ""): void {
  const content = h("span", {}, text, " ", reason !== "" && spoken(reason));
  if ([...errors.children].some((shown) => shown.firstChild?.textContent === content.textContent)) return;
  const message = h("p", { class: text === t("connection") ? "lost" : "" }, content, h("button", { type: "button", class: "plain", "aria-label": t("close"), click: () => message.remove() }, "×"));
  errors.append(message);
}

/** The server has answered. */
function reached(): void {
  for (const message of errors.querySelectorAll(".lost")) message.remove();
  renderTabs();
}

function fail(error: unknown): void {
  if (error instanceof Refusal && error.status === 401) askForToken();
  else if (error instanceof Refusal) warn("", error.message);
  else warn(t("connection"));
}

function askForToken(): void {
  if (document.querySelector("dialog.token") !== null) return;
  const field = h("input", { type: "password", autocomplete: "off", required: true });
  const enter = async (event: Event) => {
    event.preventDefault();
    try {
      await api.session(field.value.trim());
      dialog.remove();
      await begin();
    } catch (error) {
      field.value = "";
      if (error instanceof Refusal) warn("", error.message);
      else warn(t("connection"));
    }
  };
  const dialog = h(
    "dialog",
    { class: "token" },
    h("form", { submit: enter }, h("p", {}, t("token")), h("label", { class: "field" }, h("span", {}, t("tokenField")), field), h("button", { class: "primary" }, t("enter"))),
  );
  document.body.append(dialog);
  dialog.showModal();
}

async function read(place: Place): Promise<void> {
  const number = ++asked;
  const scene = store.scene?.id;
  const points = await Promise.all(
    store.onMap.map(async (layer) => ({
      layer,
      point: await api.point(layer.id, place.x, place.y).catch((error: unknown) => {
        if (error instanceof Refusal && error.status === 404) return null;
        throw error;
      }),
    })),
  );
  if (number !== asked || scene !== store.scene?.id) return;
  reading = { scene, place, points };
  renderReading();
}

function renderReading(): void {
  readout.hidden = reading === null;
  if (reading === null) return;
  const { place, points } = reading;
  const first = points.find(({ point }) => point !== null);
  const lines: string[] = [];
  if (first?.layer.grid === "map") lines.push(degrees(place));
  const at = first?.point ?? null;
  if (at !== null && at.column !== null && at.row !== null) lines.push(t("column", { c: at.column, r: at.row }));
  if (at !== null && at.x !== null && at.y !== null) lines.push(`${told(at.crs)} ${[at.x, at.y].map((value) => value.toFixed(Math.abs(value) > 1000 ? 1 : 5)).join(", ")}`);
  const close = () => {
    asked += 1;
    reading = null;
    map.mark(null);
    renderReading();
  };
  const row = (layer: Layer, point: Point | null) => {
    if (point === null) return [h("tr", {}, h("th", { scope: "row" }, layerTitle(layer)), h("td", { colspan: 2 }, t("outside")))];
    return point.bands.map((band, index) => {
      const value = point.values[index] ?? null;
      const decibels = point.decibels?.[index] ?? null;
      return h(
        "tr",
        {},
        h("th", { scope: "row" }, `${layerTitle(layer)} ${bandTitle(band)}`),
        h("td", {}, value === null ? t("noValue") : `${Math.abs(value) < 1e5 ? Number(value.toPrecision(5)) : Math.round(value)}${layer.band_units[index] ? ` ${told(layer.band_units[index] ?? "")}` : ""}`),
        h("td", {}, decibels === null ? "" : `${decibels.toFixed(2)} dB`),
      );
    });
  };
  refill(
    readout,
    h("div", { class: "row" }, h("strong", {}, t("pixel")), h("button", { type: "button", class: "plain", "aria-label": t("close"), click: close }, "×")),
    ...lines.map((line) => h("p", { class: "soft" }, line)),
    h("table", {}, h("tbody", {}, ...points.flatMap(({ layer, point }) => row(layer, point)))),
    points.some(({ layer }) => layer.guess) && h("p", { class: "notice" }, t("notice")),
  );
}

function pane(layer: Layer | null): Pane | null {
  const style = layer === null ? undefined : store.styles.get(layer.id);
  return layer === null || style === undefined ? null : { layer, style, opacity: store.opacities.get(layer.id) ?? 1 };
}

function renderLabels(): void {
  const side = (slot: Slot | "over") => {
    const layer = store.layer(slot === "over" ? store.over : store.slots[slot]);
    return (
      layer !== null &&
      h(
        "div",
        { class: `side ${slot}` },
        h("span", { class: `chip ${layer.kind}` }, layerTitle(layer)),
        h("span", { class: "what" }, layer.translator ?? layer.name.split("/").pop() ?? ""),
        layer.guess && h("strong", { class: "notice" }, t("notice")),
      )
    );
  };
  const offer = h("button", { type: "button", class: "primary", click: () => show("translate") }, t("translateThis"));
  labels.classList.toggle("apart", store.apart);
  refill(labels, ...SLOTS.map(side), side("over"), store.shown.length === 1 && offer);
}

function renderReports(): void {
  const open = (id: string, name: string) => {
    const dialog: HTMLDialogElement = h(
      "dialog",
      { class: "report", close: () => dialog.remove() },
      h("div", { class: "row" }, h("strong", {}, told(name)), h("button", { type: "button", click: () => dialog.close() }, t("close"))),
      h("iframe", { src: reportPath(id), sandbox: "", title: told(name) }),
    );
    document.body.append(dialog);
    dialog.showModal();
  };
  const found = store.catalogue.reports;
  refill(
    reports,
    found.length === 0 && h("p", { class: "soft" }, t("noReports")),
    ...found.map((report) => h("button", { type: "button", class: "wide", "data-key": report.id, click: () => open(report.id, report.name) }, spoken(report.name))),
  );
}

/** Made once: a button that is replaced between press and release loses its click. */
function makeTab(name: Tab): HTMLButtonElement {
  return h("button", {
    type: "button",
    role: "tab",
    id: `tab-${name}`,
    "aria-controls": `panel-${name}`,
    click: () => show(name),
    keydown: (event: KeyboardEvent) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (by === undefined) return;
      show(TABS[(TABS.indexOf(name) + by + TABS.length) % TABS.length] ?? name);
      document.getElementById(`tab-${tab}`)?.focus();
    },
  });
}

function renderTabs(): void {
  for (const name of TABS) {
    const button = tabButtons[name];
    const count = name === "jobs" ? jobs.active : 0;
    button.setAttribute("aria-selected", String(name === tab));
    button.tabIndex = name === tab ? 0 : -1;
    button.replaceChildren(t(name as Key), ...(count > 0 ? [h("span", { class: "badge" }, String(count))] : []));
    panels[name].hidden = name !== tab;
  }
}

function renderHeader(): void {
  const dark = () => document.documentElement.dataset.theme === "dark" || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  refill(
    header,
    h("h1", {}, "saropt"),
    h("span", { class: "soft folder" }, store.info?.folder ?? ""),
    h(
      "button",
      {
        type: "button",
        "data-key": "theme",
        title: t("theme"),
        "aria-label": t("theme"),
        click: () => setTheme(dark() ? "light" : "dark"),
      },
      "◐",
    ),
    h(
      "button",
      {
        type: "button",
        "data-key": "language",
        click: () => {
          setLanguage(language() === "en" ? "zh" : "en");
          render();
        },
      },
      t("language"),
    ),
  );
}

function setTheme(theme: string): void {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("saropt-theme", theme);
  draw();
}

function show(name: Tab): void {
  tab = name;
  renderTabs();
}

function render(): void {
  document.documentElement.lang = language() === "zh" ? "zh-CN" : "en";
  document.title = store.scene === null ? "saropt" : `${store.scene.name} – saropt`;
  renderHeader();
  renderTabs();
  renderLabels();
  renderReports();
  if (reading?.scene !== store.scene?.id) reading = null;
  renderReading();
  scenes.render();
  layers.render();
  translate.render();
  jobs.render();
  map.relabel();
  draw();
}

function draw(): void {
  const panes = store.shown.map(pane).filter((one) => one !== null);
  map.show(panes, pane(store.layer(store.over)), store.apart);
  map.setBase(store.base ? store.world : null);
}

function build(): void {
  const theme = localStorage.getItem("saropt-theme");
  if (theme !== null) document.documentElement.dataset.theme = theme;
  for (const name of TABS) {
    panels[name].id = `panel-${name}`;
    panels[name].setAttribute("role", "tabpanel");
    panels[name].setAttribute("aria-labelledby", `tab-${name}`);
  }
  map.element.append(labels, readout, messages);
  document.body.append(header, h("main", {}, map.element), sidebar);
  document.body.addEventListener("dragover", (event) => event.preventDefault());
  document.body.addEventListener("drop", (event) => {
    event.preventDefault();
    const files = [...(event.dataTransfer?.files ?? [])];
    if (tab === "translate") translate.take(files);
    else scenes.send(files);
  });
  new ResizeObserver(() => map.resize()).observe(map.element);
  store.listen(render);
}

const addressed = (): URLSearchParams => new URLSearchParams(location.hash.slice(1));

/** Show the scene of an address. If it is gone, say so and leave what is shown. */
async function follow(hash: URLSearchParams): Promise<void> {
  try {
    await store.choose(hash.get("scene") ?? "");
  } catch (error) {
    if (store.scene !== null) history.replaceState(null, "", `#scene=${store.scene.id}`);
    store.changed();
    fail(error);
  }
}

/** Another link in the same tab. */
async function turn(): Promise<void> {
  const hash = addressed();
  if (hash.has("token")) {
    location.reload();
    return;
  }
  store.take(await api.catalogue());
  await follow(hash);
}

async function begin(): Promise<void> {
  const hash = addressed();
  const token = hash.get("token");
  if (token !== null) {
    history.replaceState(null, "", location.pathname);
    await api.session(token);
  }
  [store.info, store.catalogue] = await Promise.all([api.info(), api.catalogue()]);
  await follow(hash);
  sidebar.inert = false;
  api
    .baseMap()
    .then((base) => {
      store.world = worldOf(base);
      draw();
    })
    .catch(fail);
  void jobs.watch();
  store.translators = await api.translators();
  translate.render();
}

build();
render();
window.addEventListener("hashchange", () => void turn().catch(fail));
begin().catch(fail);
