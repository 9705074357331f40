// Dark or light: as the system says, until somebody chooses.

const KEY = "weir.theme";

function chosen() {
  const theme = localStorage.getItem(KEY);
  return theme === "dark" || theme === "light" ? theme : null;
}

export function isDark() {
  return (chosen() ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
}

export function apply() {
  const theme = chosen();
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

export function toggle() {
  localStorage.setItem(KEY, isDark() ? "light" : "dark");
  apply();
}
