export type Kind = "sar" | "optical" | "translation" | "product" | "error";
export type Decibels = "amplitude" | "power";

export interface Style {
  bands: number[];
  low: number[];
  high: number[];
  decibels: Decibels | null;
  least: number | null;
  most: number | null;
}

export interface Histogram {
  low: number;
  high: number;
  counts: number[];
  below: number;
  above: number;
}

export interface Layer {
  id: string;
  kind: Kind;
  name: string;
  origin: "folder" | "upload" | "job";
  width: number;
  height: number;
  bands: string[];
  dtype: string;
  units: string | null;
  band_units: (string | null)[];
  stated_units: string | null;
  decibels: Decibels | null;
  grid: "map" | "pixels";
  bounds: [number, number, number, number] | null;
  extent: [number, number, number, number];
  crs: string;
  pixel_m: number | null;
  minzoom: number;
  maxzoom: number;
  version: string;
  translator: string | null;
  direction: string | null;
  role: string | null;
  product: string | null;
  guess: boolean;
  parent: string | null;
  acquired: string | null;
}

export interface LayerDetail extends Layer {
  levels: number[];
  percentiles: (number | null)[][];
  style: Style;
  fitting_units: string[];
}

export interface Scene {
  id: string;
  name: string;
  origin: "folder" | "upload" | "job";
  layers: Layer[];
}

export interface Catalogue {
  scenes: Scene[];
  reports: { id: string; name: string }[];
  refused: { name: string; reason: string }[];
}

/** An input or output of a translator. */
export interface Image {
  role: string;
  bands: string[];
  units: string;
  dtype: string;
  optional: boolean;
  partial: boolean;
}

export interface Card {
  name: string;
  method: string;
  directions: Record<string, { inputs: Image[]; outputs: Image[]; reliability: { alpha: number; realism: number | null } | null }>;
  gsd_m: number;
  training: { data: string; split: string; steps: number; licence: string; attribution: string };
  realism: number | null;
  quality: Record<string, Record<string, number>>;
  licence: string;
  notes: string;
}

export interface Translator {
  name: string;
  bundled: boolean;
  directions: string[];
  card: Card;
}

export interface Job {
  id: string;
  state: "queued" | "running" | "done" | "failed" | "cancelled";
  scene: string;
  layer: string;
  source: string;
  translator: string;
  request: Omit<JobOrder, "layer" | "translator">;
  done: number;
  total: number;
  message: string;
  seam: number | null;
  created: number;
  started: number | null;
  finished: number | null;
  result: string | null;
}

export interface JobOrder {
  layer: string;
  translator: string;
  direction: string;
  bands: (string | null)[] | null;
  units: string | null;
  realism: number | null;
  reliability: boolean;
  companions: Partial<Record<Companion, string>>;
}

/** Rasters that come with a scene. */
export type Companion = "reference" | "reference_sar" | "reference_mask" | "keep_clear" | "keep_clear_mask";

export interface Point {
  column: number | null;
  row: number | null;
  x: number | null;
  y: number | null;
  crs: string;
  units: string | null;
  bands: string[];
  values: (number | null)[];
  decibels: (number | null)[] | null;
}

export interface Info {
  version: string;
  units: string[];
  folder: string;
  upload_bytes: number;
  quota_bytes: number;
  used_bytes: number;
}

/** Natural Earth: lines as a first point and steps in thousandths of a degree, places by importance. */
export interface BaseMap {
  coasts: number[][];
  borders: number[][];
  places: [string, number, number][];
}

export class Refusal extends Error {
  constructor(
    readonly status: number,
    detail: string,
  ) {
    super(detail);
  }
}

function detailOf(body: unknown, fallback: string): string {
  const detail = (body as { detail?: unknown } | null)?.detail;
  if (typeof detail === "string") return detail;
  if (Array.isArray(detail)) return detail.map((one: { msg?: string }) => one.msg ?? "").join("; ");
  return fallback;
}

async function answered(path: string, options: RequestInit = {}): Promise<Response> {
  const headers = { ...(options.method ? { "X-Saropt": "1" } : {}), ...options.headers };
  const answer = await fetch(path, { ...options, headers });
  if (!answer.ok) throw new Refusal(answer.status, detailOf(await answer.json().catch(() => null), answer.statusText));
  return answer;
}

export async function ask<T>(path: string, options: RequestInit = {}): Promise<T> {
  const answer = await answered(path, options);
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}

export async function askBlob(path: string, options: RequestInit = {}): Promise<Blob> {
  return (await answered(path, options)).blob();
}

export function order<T>(path: string, content: unknown): Promise<T> {
  return ask<T>(path, {
    method: "POST",
    body: JSON.stringify(content),
    headers: { "Content-Type": "application/json" },
  });
}

export const api = {
  info: () => ask<Info>("api/info"),
  session: (token: string) => ask<void>("api/session", { method: "POST", headers: { Authorization: `Bearer ${token}` } }),
  baseMap: () => ask<BaseMap>("api/base-map"),
  catalogue: () => ask<Catalogue>("api/catalogue"),
  scan: () => ask<Catalogue>("api/catalogue/scan", { method: "POST" }),
  removeScene: (id: string) => ask<void>(`api/scenes/${id}`, { method: "DELETE" }),
  layer: (id: string) => ask<LayerDetail>(`api/layers/${id}`),
  histogram: (id: string, band: number, decibels: Decibels | null) =>
    ask<Histogram>(`api/layers/${id}/histogram?band=${band}${decibels === null ? "" : `&decibels=${decibels}`}`),
  point: (id: string, x: number, y: number) => ask<Point>(`api/layers/${id}/point?x=${x}&y=${y}`),
  translators: () => ask<Translator[]>("api/translators"),
  jobs: () => ask<Job[]>("api/jobs"),
  submit: (job: JobOrder) => order<Job>("api/jobs", job),
  cancel: (id: string) => ask<Job>(`api/jobs/${id}/cancel`, { method: "POST" }),
  removeJob: (id: string) => ask<void>(`api/jobs/${id}`, { method: "DELETE" }),

  /** Sends a file and reports the share that has been sent. */
  upload(file: File, progress: (share: number) => void): Promise<Scene> {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("POST", `api/scenes?name=${encodeURIComponent(file.name.slice(-200))}`);
      request.setRequestHeader("X-Saropt", "1");
      request.setRequestHeader("Content-Type", "application/octet-stream");
      request.responseType = "json";
      request.upload.onprogress = (event) => progress(event.loaded / Math.max(event.total, 1));
      request.onerror = () => reject(new Refusal(0, "connection"));
      request.onload = () =>
        request.status === 201
          ? resolve(request.response as Scene)
          : reject(new Refusal(request.status, detailOf(request.response, request.statusText)));
      request.send(file);
    });
  },
};

export function styleQuery(style: Style): string {
  const query = new URLSearchParams();
  style.bands.forEach((band) => query.append("band", String(band)));
  style.low.forEach((low) => query.append("low", String(low)));
  style.high.forEach((high) => query.append("high", String(high)));
  for (const name of ["decibels", "least", "most"] as const) if (style[name] !== null) query.append(name, String(style[name]));
  return query.toString();
}

export const tilePath = (layer: Layer, style: Style): string =>
  `api/layers/${layer.id}/tiles/{z}/{x}/{y}?${styleQuery(style)}&v=${layer.version}`;
export const thumbnailPath = (layer: Layer): string => `api/layers/${layer.id}/thumbnail?v=${layer.version}`;
export const picturePath = (layer: Layer, style: Style): string => `api/layers/${layer.id}/picture?${styleQuery(style)}`;
export const swipePath = (left: string, right: string): string => `api/layers/${left}/swipe/${right}`;
/** Layers in one picture in their styles; `cuts` where they lie on one another. */
export function besidePath(shown: { layer: Layer; style: Style }[], cuts: number[] | null): string {
  const query = new URLSearchParams();
  shown.slice(1).forEach(({ layer }) => query.append("other", layer.id));
  shown.forEach(({ style }) => query.append("style", JSON.stringify(style)));
  cuts?.forEach((cut) => query.append("cut", String(cut)));
  return `api/layers/${shown[0]?.layer.id}/beside?${query}`;
}
export const filePath = (layer: string): string => `api/layers/${layer}/file`;
export const reportPath = (report: string): string => `api/reports/${report}/page`;
