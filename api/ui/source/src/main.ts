import { mount } from "svelte";

import App from "./App.svelte";
import { language } from "./i18n/index.svelte";
import { applyTheme } from "./parts/theme";
import "./styles/base.css";

const target = document.getElementById("app");
if (target === null) throw new Error("index.html has no element #app");
applyTheme();
// Words that cannot be loaded are shown in English.
void language
  .begin()
  .catch(() => undefined)
  .then(() => mount(App, { target }));
