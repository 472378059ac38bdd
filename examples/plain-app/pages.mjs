// What the pages look like. Keeps nothing.

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escape = (text) => String(text).replace(/[&<>"']/g, (sign) => ENTITIES[sign]);

const STYLE = `
  :root { --ink: #2a1d14; --paper: #fbf4e6; --rust: #b4441c; --oil: #35524a; }
  * { box-sizing: border-box; }
  body { margin: 0 auto; max-width: 46rem; padding: 1.5rem; color: var(--ink); background: var(--paper); font: 1.05rem/1.6 Georgia, "DejaVu Serif", serif; }
  nav { display: flex; gap: 1.5rem; padding-bottom: 1rem; border-bottom: 2px solid var(--ink); }
  nav b { margin-right: auto; }
  a { color: var(--oil); }
  h1 { font-size: clamp(2rem, 6vw, 3rem); line-height: 1.1; margin: 2rem 0 1rem; }
  form { display: grid; gap: 0.8rem; padding: 1.2rem; background: white; border: 2px solid var(--ink); box-shadow: 6px 6px 0 var(--oil); }
  label { display: grid; }
  input, textarea { font: inherit; padding: 0.5rem; border: 1px solid var(--ink); }
  button { font: inherit; justify-self: start; padding: 0.5rem 1.2rem; border: 0; color: white; background: var(--rust); cursor: pointer; }
  blockquote { margin: 1.5rem 0; padding-left: 1rem; border-left: 4px solid var(--rust); }
  table { border-collapse: collapse; width: 100%; }
  td { padding: 0.1rem 1rem 0.1rem 0; border-bottom: 1px solid #dfd2bb; }
`;

const head = (title) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · Second Life Repair Café</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<nav><b>Second Life</b><a href="/">The book</a><a href="/bench">The bench</a><a href="/ledger">The ledger</a></nav>`;

const END = "</body>\n</html>\n";

export const bookPage = ({ notes, visits, said }) => `${head("The book")}
<h1>Nothing is broken for ever.</h1>
<p>Bring it on Saturday. You looked in <span id="visits">${visits}</span> ${visits === 1 ? "time" : "times"}; it is <span id="hour">some time of day</span> where you are.</p>
${said ? `<p id="said" role="status">${escape(said)}</p>` : ""}
<form method="post" action="/notes" onsubmit="this.querySelector('button').textContent = 'Writing'">
  <label>Name <input name="name" required maxlength="40"></label>
  <label>What was mended <textarea name="words" required maxlength="400" rows="3" oninput="count(this)"></textarea></label>
  <small><output id="left">400</output> letters left</small>
  <button>Write it down</button>
</form>
<p><button type="button" id="kettle" onclick="this.textContent = 'The kettle is on'" style="background: #35524a">Put the kettle on</button></p>
${notes.map(({ name, words }) => `<blockquote>${escape(words)}<br><small>${escape(name)}</small></blockquote>`).join("\n")}
<script>
  function count(field) { document.getElementById("left").value = 400 - field.value.length; }
  document.getElementById("hour").textContent = new Date().getHours() + " o’clock";
</script>
${END}`;

export const benchPage = () => `${head("The bench")}
<h1>Ask the bench.</h1>
<p>Everybody who has this page open reads along. <span id="state">Knocking.</span></p>
<form id="say"><label>What is the matter with it? <input name="words" maxlength="200" autocomplete="off"></label><button>Ask</button></form>
<ul id="heard"></ul>
<script>
  const socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/bench/socket");
  const state = document.getElementById("state");
  socket.onopen = () => { state.textContent = "You are in."; };
  socket.onclose = () => { state.textContent = "The bench is closed."; };
  socket.onmessage = ({ data }) => document.getElementById("heard").appendChild(document.createElement("li")).append(data);
  document.getElementById("say").onsubmit = (event) => {
    event.preventDefault();
    const { words } = event.target.elements;
    if (words.value) socket.send(words.value);
    words.value = "";
  };
</script>
${END}`;

const THINGS = ["kettle", "radio", "bicycle lamp", "sewing machine", "toaster", "typewriter", "music box", "drill"];
const CURES = ["new fuse", "a drop of oil", "one turn of the screw", "fresh solder", "patience", "a better plug"];

export const ledgerHead = () => `${head("The ledger")}
<h1>Everything we mended.</h1>
<table><tbody>
`;
export const ledgerRow = (row) =>
  `<tr id="r${row}"><td>${row}</td><td>${THINGS[row % THINGS.length]}</td><td>${CURES[(row * 7) % CURES.length]}</td></tr>\n`;
export const ledgerEnd = (rows) => `</tbody></table>
<p id="end">${rows} things.</p>
<script>document.getElementById("end").append(" None of them was thrown away.");</script>
${END}`;
