// Draws the Mermaid diagrams. A page contains them as text, which stays if the script cannot be loaded.
(() => {
    const blocks = document.querySelectorAll("code.language-mermaid");
    if (blocks.length === 0) return;
    const script = document.createElement("script");
    script.src = "https://cdn.jsdelivr.net/npm/mermaid@11.17.2/dist/mermaid.min.js";
    script.integrity = "sha384-EOXBFmc3gx5mb+vn0vPvvGqACToJD24hhacX5Yx+8NUUQrHIle/Qi5Bg9o3zKwW2";
    script.crossOrigin = "anonymous";
    script.onload = () => {
        const themes = document.documentElement.classList;
        const isDark = ["ayu", "coal", "navy"].some((name) => themes.contains(name));
        mermaid.initialize({ startOnLoad: false, theme: isDark ? "dark" : "default" });
        for (const block of blocks) {
            const diagram = document.createElement("div");
            diagram.className = "mermaid";
            diagram.textContent = block.textContent;
            block.closest("pre").replaceWith(diagram);
        }
        mermaid.run();
    };
    document.head.append(script);
})();
