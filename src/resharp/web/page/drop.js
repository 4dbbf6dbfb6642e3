// The drop zone: chosen, dropped or pasted photos go to the server one by one; then "dropped" tells their ids.
const words = () => props.words;
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
let sending = false;

const tell = (text, bad) => {
  const place = element.querySelector(".rs-drop-state");
  if (!place) return;
  place.textContent = text;
  place.classList.toggle("rs-bad", Boolean(bad));
};

const send = (file) =>
  new Promise((resolve, reject) => {
    const values = { name: file.name, size: props.size };
    if (file.size > props.max_bytes) {
      reject(fill(words().too_large, values));
      return;
    }
    const request = new XMLHttpRequest();
    request.open("POST", "photo?name=" + encodeURIComponent(file.name));
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) {
        tell(fill(words().sending, { ...values, percent: Math.round((100 * event.loaded) / event.total) }));
      }
    };
    request.onload = () => {
      let answer = {};
      try {
        answer = JSON.parse(request.responseText);
      } catch {
        answer = {};
      }
      if (request.status === 200) resolve(answer.id);
      else reject(fill(words()[answer.error] ?? words().cut_short, values));
    };
    request.onerror = () => reject(fill(words().cut_short, values));
    request.send(file);
  });

const take = async (files) => {
  if (sending || files.length === 0) return;
  sending = true;
  const ids = [];
  let problem = "";
  if (files.length > props.max_files) problem = fill(words().too_many, { count: props.max_files });
  for (const file of files.slice(0, props.max_files)) {
    try {
      ids.push(await send(file));
    } catch (reason) {
      problem = reason;
    }
  }
  sending = false;
  tell(problem || (ids.length ? words().reading : ""), Boolean(problem));
  if (ids.length) trigger("dropped", { ids });
  if (props.multiple && !problem) tell("");
};

element.addEventListener("change", (event) => {
  if (event.target.type !== "file") return;
  const files = [...event.target.files];
  event.target.value = "";
  take(files);
});
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  element.addEventListener(kind, (event) => {
    event.preventDefault();
    const zone = element.querySelector(".rs-drop");
    if (zone) zone.classList.toggle("rs-over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop") take([...event.dataTransfer.files]);
  });
}
document.addEventListener("paste", (event) => {
  if (element.offsetParent !== null) take([...(event.clipboardData?.files ?? [])]);
});
