import { mount } from "svelte";

import { session } from "./api/session.svelte";
import App from "./App.svelte";
import { askAhead } from "./archive/ahead";
import { read, toSearch } from "./archive/search";
import { language } from "./i18n/index.svelte";
import { renewWhereAPartIsMissed } from "./parts/renewal";
import { applyTheme } from "./parts/theme";
import { router } from "./router.svelte";
import "./styles/base.css";

const target = document.getElementById("app");
if (target === null) throw new Error("index.html has no element #app");
if (session.isIn && router.path === "/") askAhead(toSearch(read(router.query), new Date()));
applyTheme();
renewWhereAPartIsMissed();
// Words that cannot be loaded are shown in English.
void language
  .begin()
  .catch(() => undefined)
  .then(() => {
    target.replaceChildren();
    mount(App, { target });
  });
