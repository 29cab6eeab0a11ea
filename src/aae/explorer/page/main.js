// Load the data and the networks, and start the explorer.

import { load } from "./data.js";
import { Explorer } from "./explorer.js";
import { listen, trouble } from "./input.js";
import { Networks } from "./networks.js";
import { $ } from "./panel.js";

addEventListener("unhandledrejection", (event) => trouble(event.reason));
addEventListener("error", (event) => trouble(event.error ?? event));

$("served").remove();
const data = await load();
const { about } = data;
$("title").textContent = document.title = `${about.recipe} on ${about.data}`;
$("facts").textContent = [
  `${about.epochs} epochs`, `${data.dim}-D code`, `${about.prior} prior`, `${data.n.toLocaleString("en")} test pictures`,
].join(" · ");
listen(new Explorer(data, await Networks.load(about)));
$("save").disabled = false;
$("main").setAttribute("aria-busy", "false");
