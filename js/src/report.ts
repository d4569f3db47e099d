/** The entry of a self-contained page: its data lie in the page, in `<script type="application/json">`. */
import { EmbeddedClient, type Saved } from "./clients/embedded";
import { mount } from "./components/Report";
import { createState } from "./state";

const data = JSON.parse(document.getElementById("nbtrack-data")?.textContent ?? "null") as Saved | null;
const host = document.getElementById("nbtrack");
if (data !== null && host !== null) {
  const client = new EmbeddedClient(data);
  mount(host, client, createState(client), { data });
}
