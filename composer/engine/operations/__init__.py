"""The operations of a plan: one small frozen type per action, each with its cause, and one row for each type.

An operation says what is to be done and why; its row has the words for it and how it is carried out. Containers are
named by `ContainerRef`, because one that the same plan creates has no id yet.
"""

from composer.engine.operations.containers import REPLACED as REPLACED
from composer.engine.operations.containers import ConnectNetwork as ConnectNetwork
from composer.engine.operations.containers import CreateContainer as CreateContainer
from composer.engine.operations.containers import DisconnectNetwork as DisconnectNetwork
from composer.engine.operations.containers import KillContainer as KillContainer
from composer.engine.operations.containers import MovePorts as MovePorts
from composer.engine.operations.containers import RemoveContainer as RemoveContainer
from composer.engine.operations.containers import RenameContainer as RenameContainer
from composer.engine.operations.containers import RunHook as RunHook
from composer.engine.operations.containers import StartContainer as StartContainer
from composer.engine.operations.containers import StopContainer as StopContainer
from composer.engine.operations.images import BuildImage as BuildImage
from composer.engine.operations.images import PullImage as PullImage
from composer.engine.operations.images import PushImage as PushImage
from composer.engine.operations.images import RemoveImage as RemoveImage
from composer.engine.operations.images import TagImage as TagImage
from composer.engine.operations.registry import Operation as Operation
from composer.engine.operations.registry import action_of as action_of
from composer.engine.operations.registry import brief_of as brief_of
from composer.engine.operations.registry import effect_of as effect_of
from composer.engine.operations.registry import facts_of as facts_of
from composer.engine.operations.registry import perform as perform
from composer.engine.operations.registry import progress_of as progress_of
from composer.engine.operations.registry import resource_of as resource_of
from composer.engine.operations.registry import subject_of as subject_of
from composer.engine.operations.registry import text_of as text_of
from composer.engine.operations.resources import CreateNetwork as CreateNetwork
from composer.engine.operations.resources import CreateVolume as CreateVolume
from composer.engine.operations.resources import MendNetwork as MendNetwork
from composer.engine.operations.resources import RemoveNetwork as RemoveNetwork
from composer.engine.operations.resources import RemoveVolume as RemoveVolume
from composer.engine.operations.row import ContainerRef as ContainerRef
from composer.engine.operations.row import Kept as Kept
from composer.engine.operations.row import Resource as Resource
from composer.engine.operations.waiting import WaitService as WaitService
