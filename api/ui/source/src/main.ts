import { mount } from "svelte";

import App from "./App.svelte";
import { applyTheme } from "./parts/theme";
import "./styles/base.css";

const target = document.getElementById("app");
if (target === null) throw new Error("index.html has no element #app");
applyTheme();
mount(App, { target });
