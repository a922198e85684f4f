"""NEMO as one process: settings, tables straight from the models, faults on demand, a server.

Runs in NEMO's environment, not in ours: ``server.py (fill FOLDER CONTENT BULK | serve FOLDER)``.
"""

import json
import sys
import threading
import time
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
from django.conf import settings

ZONE = "America/Denver"
MIDDLEWARE = [
    "django.middleware.common.CommonMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "NEMO.middleware.DeviceDetectionMiddleware",
    "NEMO.middleware.RemoteUserAuthenticationMiddleware",
    "NEMO.middleware.ImpersonateMiddleware",
    "NEMO.middleware.NEMOAuditlogMiddleware",
]
DJANGO = ("auth", "contenttypes", "sessions", "messages", "staticfiles", "admin", "humanize")
OTHERS = ("NEMO", "rest_framework", "rest_framework.authtoken", "django_filters", "mptt")


class NoMigrations(dict):
    """Tables come from the models: the history of migrations takes minutes."""

    def __contains__(self, key):
        return True

    def __getitem__(self, key):
        return None


def configure(folder: Path) -> None:
    """Set NEMO up in a folder."""
    settings.configure(
        SECRET_KEY="for tests only",  # noqa: S106 - it keeps no secret
        ALLOWED_HOSTS=["*"],
        AUTH_USER_MODEL="NEMO.User",
        ROOT_URLCONF="NEMO.urls",
        ALLOW_CONDITIONAL_URLS=True,
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        INSTALLED_APPS=[*(f"django.contrib.{name}" for name in DJANGO), *OTHERS, "auditlog"],
        MIDDLEWARE=MIDDLEWARE,
        AUTHENTICATION_BACKENDS=["NEMO.views.authentication.RemoteUserAuthenticationBackend"],
        TEMPLATES=[
            {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}
        ],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": str(folder / "nemo.sqlite3"),
                "OPTIONS": {"timeout": 20},
            }
        },
        MIGRATION_MODULES=NoMigrations(),
        MEDIA_ROOT=str(folder),
        STATIC_URL="/static/",
        MEDIA_URL="/media/",
        SERVER_DOMAIN="http://127.0.0.1",
        LOGIN_URL="login",
        LOGIN_REDIRECT_URL="login",
        USE_TZ=True,
        USE_I18N=False,
        TIME_ZONE=ZONE,
        EMAIL_BACKEND="django.core.mail.backends.dummy.EmailBackend",
        INTERLOCKS_ENABLED=False,
        REST_FRAMEWORK={
            "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.TokenAuthentication"],
            "DEFAULT_PERMISSION_CLASSES": ["NEMO.permissions.DjangoModelPermissions"],
            "DEFAULT_FILTER_BACKENDS": ["NEMO.rest_filter_backend.NEMOFilterBackend"],
            "DEFAULT_PAGINATION_CLASS": "NEMO.rest_pagination.NEMOPageNumberPagination",
            "PAGE_SIZE": 1000,
        },
    )
    django.setup()


class Lab:
    """NEMO with faults on demand, and a list of what it was asked."""

    def __init__(self, nemo):
        self.nemo = nemo
        self.lock = threading.Lock()
        self.requests, self.failing, self.pause, self.cut = [], [503, 0, ""], 0, None

    def __call__(self, environ, start_response):
        """Answer one request."""
        path = environ["PATH_INFO"]
        if path == "/lab/":
            size = int(environ.get("CONTENT_LENGTH") or 0)
            return self.control(json.loads(environ["wsgi.input"].read(size)), start_response)
        with self.lock:
            self.requests.append(f"{path}?{environ.get('QUERY_STRING', '')}")
            status, left, retry_after = self.failing
            self.failing[1] = max(0, left - 1)
            cut = self.cut == 0
            self.cut = self.cut - 1 if self.cut else None
        time.sleep(self.pause / 1000)
        if left:
            more = [("Retry-After", retry_after)] if retry_after else []
            start_response(f"{status} Trouble", [("Content-Length", "0"), *more])
            return []
        body = b"".join(self.nemo(environ, start_response))
        return [body[: len(body) // 2] if cut else body]

    def control(self, order, start_response):
        """Take an order, and tell what was asked."""
        with self.lock:
            self.failing = list(order.get("fail", self.failing))
            self.pause = order.get("delay", self.pause)
            self.cut = order.get("cut", self.cut)
            answer = json.dumps({"requests": self.requests}).encode()
            if order.get("forget"):
                self.requests = []
        start_response("200 OK", [("Content-Length", str(len(answer)))])
        return [answer]


class Server(ThreadingMixIn, WSGIServer):
    """A thread a request; one request a connection, so an answer can be cut off."""

    daemon_threads = True


class Quiet(WSGIRequestHandler):
    """No access log."""

    def log_message(self, *_):
        """Say nothing."""


def serve() -> None:
    """Serve until killed; the first line printed is the address of the API."""
    from django.core.wsgi import get_wsgi_application  # noqa: PLC0415 - after configure()

    lab = Lab(get_wsgi_application())
    server = make_server("127.0.0.1", 0, lab, server_class=Server, handler_class=Quiet)
    print(f"http://127.0.0.1:{server.server_port}/api/", flush=True)
    server.serve_forever()


def fill(content: str, bulk: int) -> None:
    """Make the tables and what is in them: the twenty sessions, or those of ``cases.py``."""
    from django.core.management import call_command  # noqa: PLC0415 - after configure()

    call_command("migrate", run_syncdb=True, verbosity=0)
    if content == "cases":
        from seed import fill_nemo  # noqa: PLC0415 - needs the models
    else:
        from facility import fill_nemo  # noqa: PLC0415 - needs the models
    fill_nemo(bulk)


if __name__ == "__main__":
    configure(Path(sys.argv[2]).resolve())
    if sys.argv[1] == "fill":
        fill(sys.argv[3], int(sys.argv[4]))
    else:
        serve()
