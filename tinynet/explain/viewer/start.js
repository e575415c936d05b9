// Where it all begins: the page of the run in this document, and, on a served page, what can be changed on it.

const page = new Page(JSON.parse(byId("trace").textContent));
const state = JSON.parse(byId("state").textContent);
if (state) new Live(page, state);
