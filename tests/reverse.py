"""A real nginx before something, in a directory of its own."""

import subprocess
from contextlib import contextmanager

_CONFIG = """
daemon off; master_process off; error_log stderr; pid {directory}/pid;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {directory}/a; proxy_temp_path {directory}/b; fastcgi_temp_path {directory}/c;
  uwsgi_temp_path {directory}/d; scgi_temp_path {directory}/e;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  server {{ {server} }}
}}
"""


@contextmanager
def nginx(directory, server):
    """Run an nginx whose one server is configured so."""
    (directory / "nginx.conf").write_text(_CONFIG.format(directory=directory, server=server))
    started = subprocess.Popen(["nginx", "-p", str(directory), "-c", str(directory / "nginx.conf")])
    try:
        yield
    finally:
        started.terminate()
        started.wait(20)
