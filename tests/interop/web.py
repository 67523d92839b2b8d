"""nginx as a plain web server on a loopback address."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.doubles.real_programs import eventually, free_port
from tests.interop.daemon_site import dial

if TYPE_CHECKING:
    from tests.interop.stage import Stage

#: One process, every path in one folder, uploads taken whole and thrown away.
CONFIGURATION = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr info;
{user}
events {{ worker_connections 512; }}
http {{
  access_log {folder}/access.log; default_type application/octet-stream;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5; client_max_body_size 100m;
  log_format body '$request_length';
  server {{
    listen {address};
    root {folder}/www;
    location /upload {{
      client_body_in_file_only on;
      proxy_pass http://{address}/taken;
      proxy_set_header X-Body $request_body_file;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
    }}
    location /taken {{ return 200 "$http_x_body"; }}
  }}
}}
"""


def web_server(stage: Stage, pages: dict[str, bytes], address: str = "") -> str:
    """Serve *pages* until the test ends; the address as stunnel writes it.

    The server listens at *address*, on a free port without one.

    What is posted to ``/upload`` is kept in a file, whose path is the answer.
    """
    address = address or f"127.0.0.1:{free_port()}"
    folder = stage.directory / f"nginx-{address}"
    (folder / "www").mkdir(parents=True)
    for name, content in pages.items():
        (folder / "www" / name).write_bytes(content)
    user = "user root;" if os.geteuid() == 0 else ""
    text = CONFIGURATION.format(folder=folder, address=address, user=user)
    (folder / "nginx.conf").write_text(text, encoding="utf-8")
    nginx = stage.start("nginx", ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")])

    def listening() -> bool:
        if not nginx.running:
            raise AssertionError(nginx.log)
        try:
            dial(address).close()
        except ConnectionRefusedError:
            return False
        return True

    eventually(listening, "nginx listens")
    return address
