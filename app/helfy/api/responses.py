"""Which errors an operation may answer with, for the OpenAPI document."""

from flask_openapi3.types import ResponseDict

from helfy.api import models

FOR_EVERYBODY: ResponseDict = {400: models.Error, 503: models.RetryError}
FOR_USERS: ResponseDict = {**FOR_EVERYBODY, 401: models.Error, 403: models.Error}
WITH_BODY: ResponseDict = {413: models.Error, 415: models.Error}
WITH_PASSWORD: ResponseDict = {429: models.RetryError}
"""Where a password is checked."""
OF_ONE: ResponseDict = {404: models.Error}
"""Where something is asked for by its id."""
MAY_CONFLICT: ResponseDict = {409: models.Error}
