import { api, ask, askBlob, order, Refusal } from "./api";
import { h, refill } from "./dom";
import { spoken } from "./messages";
import { language, named, setLanguage, t } from "./i18n";

interface Study {
  name: string;
  trials: number;
  side: number;
  question: string | null;
  answers: string[];
}

interface Place {
  done: number;
  trial: number | null;
}

type Side = "left" | "right";
const SIDES: Side[] = ["left", "right"];

/** The page of a blind test: a code, pairs of pictures, thanks. */
class BlindTest {
  private readonly main = h("main", { class: "trial" });
  private readonly header = h("header", {});
  private code = sessionStorage.getItem("saropt-participant") ?? "";
  private place: Place | null = null;
  private picture = "";
  private real: Side | null = null;
  private second: string | null = null;
  private sending = false;
  private problem = "";

  constructor(private readonly study: Study) {
    document.body.append(this.header, this.main);
    document.addEventListener("keydown", (event) => this.key(event));
    this.render();
  }

  private render(): void {
    document.documentElement.lang = language() === "zh" ? "zh-CN" : "en";
    document.title = this.study.name;
    const change = () => {
      setLanguage(language() === "en" ? "zh" : "en");
      this.render();
    };
    refill(this.header, h("h1", {}, this.study.name), h("span", { class: "folder" }), h("button", { type: "button", "data-key": "language", click: change }, t("language")));
    const content = this.place === null ? this.welcome() : this.place.trial === null ? h("p", { role: "status" }, t("blindThanks")) : this.pair(this.place.trial);
    refill(this.main, content, this.problem !== "" && h("p", { class: "warning", role: "alert" }, spoken(this.problem)));
  }

  private welcome(): HTMLElement {
    const field: HTMLInputElement = h("input", { required: true, pattern: "[A-Za-z0-9][A-Za-z0-9_\\-]{0,31}", autocomplete: "off", autocapitalize: "off", spellcheck: "false", value: this.code, "data-key": "code" });
    const enter = (event: Event) => {
      event.preventDefault();
      if (this.sending) return;
      this.sending = true;
      this.code = field.value;
      sessionStorage.setItem("saropt-participant", this.code);
      void this.go(ask<Place>(`api/participants/${this.code}`));
    };
    return h(
      "form",
      { class: "card", submit: enter },
      h("p", {}, t("blindTask", { n: this.study.trials })),
      h("label", { class: "field" }, h("span", {}, t("blindCode")), field),
      h("p", { class: "soft" }, t("blindCodeHelp")),
      h("button", { class: "primary wide", "data-key": "begin" }, t("blindBegin")),
    );
  }

  private pair(trial: number): HTMLElement {
    const pictures = SIDES.map((side) =>
      h("figure", {}, h("img", { src: this.picture, class: side, alt: t(side), width: this.study.side, height: this.study.side }), h("figcaption", {}, t(side))),
    );
    const complete = this.real !== null && (this.study.question === null || this.second !== null);
    return h(
      "div",
      {},
      h("p", { class: "soft", role: "status" }, t("blindCount", { n: trial + 1, of: this.study.trials })),
      h("progress", { max: this.study.trials, value: trial, "aria-label": t("blindCount", { n: trial + 1, of: this.study.trials }) }),
      h("div", { class: "pair" }, ...pictures),
      this.choices(t("blindQuestion"), SIDES, this.real, (side) => (this.real = side as Side)),
      this.study.question !== null && this.choices(this.study.question, this.study.answers, this.second, (answer) => (this.second = answer)),
      h("button", { type: "button", class: "primary wide", "data-key": "next", disabled: !complete || this.sending, click: () => this.send(trial) }, t("blindNext")),
    );
  }

  private choices(question: string, answers: string[], chosen: string | null, take: (answer: string) => void): HTMLElement {
    const button = (answer: string) =>
      h(
        "button",
        {
          type: "button",
          class: "toggle",
          "aria-pressed": String(answer === chosen),
          "data-key": `${question} ${answer}`,
          click: () => {
            take(answer);
            this.render();
          },
        },
        named(answer, answer),
      );
    return h("div", { class: "question", role: "group", "aria-label": question }, h("p", {}, h("strong", {}, question)), h("div", { class: "row" }, ...answers.map(button)));
  }

  /** The arrow keys answer the first question. */
  private key(event: KeyboardEvent): void {
    if (this.place === null || this.place.trial === null) return;
    if (event.key === "ArrowLeft") this.real = "left";
    else if (event.key === "ArrowRight") this.real = "right";
    else return;
    this.render();
  }

  private path(trial: number): string {
    return `api/participants/${this.code}/trials/${trial}`;
  }

  private async load(trial: number): Promise<void> {
    const found = await askBlob(this.path(trial));
    URL.revokeObjectURL(this.picture);
    this.picture = URL.createObjectURL(found);
  }

  private send(trial: number): void {
    const { real, second } = this;
    this.sending = true;
    this.render();
    void this.go(order<Place>(this.path(trial), { real, second }));
  }

  private async go(answer: Promise<Place>): Promise<void> {
    try {
      const place = await answer;
      if (place.trial !== null) await this.load(place.trial);
      this.place = place;
      this.real = this.second = null;
      this.problem = "";
    } catch (error) {
      this.problem = error instanceof Refusal ? error.message : t("connection");
      if (error instanceof Refusal && error.status === 409) this.place = null;
    }
    this.sending = false;
    this.render();
  }
}

async function begin(): Promise<void> {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token !== null) {
    history.replaceState(null, "", location.pathname);
    await api.session(token);
  }
  new BlindTest(await ask<Study>("api/study"));
}

begin().catch((error: unknown) => {
  document.body.append(h("p", { class: "warning", role: "alert" }, error instanceof Refusal && error.status === 401 ? t("blindToken") : t("connection")));
});
