// Opens a plate over the whole window.
const viewer = document.createElement("dialog");
viewer.className = "viewer";
viewer.setAttribute("aria-label", "Photograph, enlarged");

const picture = document.createElement("img");
const caption = document.createElement("p");
const form = document.createElement("form");
form.method = "dialog";
const close = document.createElement("button");
close.className = "button";
close.textContent = "Close";
form.append(caption, close);
viewer.append(picture, form);
document.body.append(viewer);

for (const plate of document.querySelectorAll(".plate")) {
  plate.addEventListener("click", () => {
    const image = plate.querySelector("img");
    picture.src = image.currentSrc || image.src;
    picture.alt = image.alt;
    caption.textContent = plate.dataset.caption;
    viewer.showModal();
  });
}

picture.addEventListener("click", () => viewer.close());
