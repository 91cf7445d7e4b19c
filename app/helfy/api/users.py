"""``/users``: accounts, for admins."""

from typing import Any

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from helfy import jsonlog, user_changes, users
from helfy.api import answers, models
from helfy.api.errors import request_fields
from helfy.api.responses import FOR_USERS, MAY_CONFLICT, OF_ONE, WITH_BODY
from helfy.api.security import current_party
from helfy.api.services import services

log = jsonlog.get(__name__)

blueprint = APIBlueprint(
    "users",
    __name__,
    url_prefix="/users",
    abp_tags=[Tag(name="users", description="Accounts, for the role admin")],
    abp_responses=FOR_USERS,
)


@blueprint.get("", operation_id="listUsers", responses={200: models.UserPage})
def show_page(query: models.UserQuery) -> Response:
    """List accounts by id, all or those that are searched for."""
    which = users.Filter(query.search, query.role, query.status, query.after, query.limit)
    page = users.page(services().engine, which)
    items = [answers.user(each) for each in page.items]
    return answers.answer(models.UserPage(items=items, next=page.next))


@blueprint.post(
    "",
    operation_id="createUser",
    responses={201: models.User, **WITH_BODY, **MAY_CONFLICT},
)
def create(body: models.NewUser) -> Response:
    """Make an account; its password has to be changed at the first login, unless told otherwise."""
    here = services()
    new = user_changes.NewUser(
        body.username, body.email, body.password, body.role, body.must_change_password
    )
    with here.room.place(current_party()):
        user = user_changes.create(here.engine, here.hasher, new)
    _log("user_created", user.id, role=user.role)
    response = answers.answer(answers.user(user), 201)
    response.headers["Location"] = f"/users/{user.id}"
    return response


@blueprint.get("/<int:user_id>", operation_id="showUser", responses={200: models.User, **OF_ONE})
def show(path: models.UserPath) -> Response:
    """Show an account."""
    return answers.answer(answers.user(users.get(services().engine, path.user_id)))


@blueprint.patch(
    "/<int:user_id>",
    operation_id="changeUser",
    responses={200: models.User, **WITH_BODY, **OF_ONE, **MAY_CONFLICT},
)
def change(path: models.UserPath, body: models.UserChange) -> Response:
    """Change an account. Disabling it ends its sessions; the last active admin has to stay one."""
    changes = user_changes.Changes(**body.model_dump())
    user = user_changes.change(services().engine, path.user_id, changes)
    changed = sorted(name for name, value in body.model_dump().items() if value is not None)
    _log("user_changed", user.id, changed=changed, role=user.role, status=user.status)
    return answers.answer(answers.user(user))


@blueprint.delete(
    "/<int:user_id>",
    operation_id="deleteUser",
    responses={200: models.Message, **OF_ONE, **MAY_CONFLICT},
)
def delete(path: models.UserPath) -> Response:
    """Delete an account with its sessions; the last active admin has to stay."""
    user = user_changes.remove(services().engine, path.user_id)
    _log("user_deleted", user.id)
    return answers.answer(models.Message())


@blueprint.put(
    "/<int:user_id>/password",
    operation_id="setPasswordOfUser",
    responses={200: models.Ended, **WITH_BODY, **OF_ONE},
)
def set_password(path: models.UserPath, body: models.UserPassword) -> Response:
    """Give an account another password, which ends all its sessions."""
    here = services()
    new = user_changes.NewPassword(body.password, body.must_change_password)
    with here.room.place(current_party()):
        ended = user_changes.set_password(here.engine, here.hasher, path.user_id, new)
    _log("password_set", path.user_id, sessionsEnded=ended)
    return answers.answer(models.Ended(ended=ended))


def _log(action: str, user_id: int, **more: Any) -> None:
    fields = request_fields("ok") | {"targetId": user_id} | more
    log.info(action, extra={"fields": fields})
