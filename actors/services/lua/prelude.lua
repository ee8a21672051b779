-- Runs once in a new interpreter, before any script. Takes the standard library for itself, hands scripts a guarded copy,
-- and returns the functions that Python calls.
--
-- Scripts cannot escape a limit: when it is passed, `stopped` holds the reason and the hook raises it. Everything that
-- could swallow an error (pcall, xpcall, load, coroutine.resume) looks at `stopped` afterwards and raises it again. Code
-- that Lua runs without hooks (message handlers of a failing hook, finalizers) is never a script's.
--
-- An error of Lua must never unwind frames of Python: that would leave the process hanging for good. So while Python runs,
-- Lua's memory has no limit, its collector rests, and no code of a script runs. `enter` and `leave` are the edges;
-- between them Lua's functions for C can be called without protection, and are. For the same reason scripts live in a table
-- of their own: lupa looks `debug.traceback` up among the real globals before each call, and a script's metatable would run there.
--
-- Nothing here may call a function a script can replace: only the locals below, no methods of strings.

local clock, python_enters, python_leaves, emit, sandbox, compatible = ...

local globals = _G
local G = {} -- the globals of scripts
for name, value in next, globals do G[name] = value end
G._G, G.package.loaded._G = G, G
local assert, error, getmetatable, next, pairs, pcall = assert, error, getmetatable, next, pairs, pcall
local rawget, rawset, select, setmetatable, tonumber = rawget, rawset, select, setmetatable, tonumber
local tostring, type, xpcall, load, loadfile = tostring, type, xpcall, load, loadfile
local collectgarbage = collectgarbage
local create, resume = coroutine.create, coroutine.resume
local getinfo, sethook, traceback = debug.getinfo, debug.sethook, debug.traceback
local find, format, gsub, sub = string.find, string.format, string.gsub, string.sub
local math, HUGE = math, math.huge
local find_file = package.searchpath
local _ENV = {} -- of what follows: whatever is no local is missing, here as among the real globals

for name in next, globals do globals[name] = nil end

local STEP = 1000 -- instructions between two looks at the clock: a third of a millisecond at most, unless C code is slow
local NO_MEMORY = 'not enough memory' -- Lua's own words
local OWN = '=sinogram' -- this chunk's name; errors of scripts are not placed here

-- The callback under way. `math.huge` is no limit.
local deadline_s, budget, seconds, instructions = math.huge, math.huge, 0, 0
local stopped, trace
local running = false -- a script's code, not a call of Python that only looks after the interpreter
local collecting = true -- unless a script has stopped the collector

-- ---------------------------------------------------------------------------------------------- from and to Python

local function enter()
  collectgarbage('stop') -- a finalizer that fails raises its error wherever the collector was
  python_enters()
end

local function leave() -- tells whether what Python gave fits into the memory that scripts may have
  local fits = python_leaves(false)
  if not fits then
    collectgarbage('collect')
    fits = python_leaves(false) or not python_leaves(true)
  end
  if collecting then collectgarbage('restart') end
  return fits
end

-- What Python gives while the collector rests does not count when it begins again: callbacks whose tables come from Python would
-- fill all the memory that they may have before anything of it is collected.
local KEPT_KB = 8192
local most_kb = KEPT_KB

local function tidy()
  if not collecting or collectgarbage('count') <= most_kb then return end
  pcall(collectgarbage, 'collect')
  most_kb = 2 * collectgarbage('count')
  if most_kb < KEPT_KB then most_kb = KEPT_KB end
end

function G.collectgarbage(...)
  local what = ...
  if what == 'stop' then collecting = false elseif what == 'restart' then collecting = true end
  return collectgarbage(...)
end

-- ---------------------------------------------------------------------------------------------------------- limits

local function place()
  for level = 4, 30 do
    local frame = getinfo(level, 'Sl')
    if not frame then break end
    if frame.currentline > 0 and frame.source ~= OWN then
      return frame.short_src .. ':' .. frame.currentline .. ': '
    end
  end
  return ''
end

local function stop(pattern, limit)
  enter() -- the message must not fail for want of memory
  stopped = place() .. format(pattern, limit)
  leave()
end

local function look()
  if not stopped then
    if budget <= 0 then
      stop('stopped after %d instructions', instructions)
    else
      local now_s = clock()
      if now_s == HUGE then
        stop('stopped, for the server stops', 0)
      elseif now_s >= deadline_s then
        stop('stopped after %g seconds', seconds)
      end
    end
  end
  if stopped then error(stopped, 0) end
end

local function hook()
  if not running then return end
  budget = budget - STEP
  look()
end

local function passed(ok, ...)
  if stopped then error(stopped, 0) end
  if not ok then -- the error may have come from between `enter` and `leave`
    running = true
    leave()
  end
  return ok, ...
end

function G.pcall(...)
  if select('#', ...) == 0 then error("bad argument #1 to 'pcall' (value expected)", 2) end
  return passed(pcall(...))
end

function G.xpcall(f, handler, ...)
  return passed(xpcall(f, function(message)
    if stopped then return message end -- no hook would end the script's handler now
    return handler(message)
  end, ...))
end

local function text_only(mode)
  return type(mode) ~= 'string' or find(mode, 't', 1, true) ~= nil
end

local BINARY = 'attempt to load a binary chunk (only text is allowed)' -- Lua does not verify bytecode

function G.load(chunk, name, mode, ...) -- a chunk may be a function of the script, and load swallows its errors
  if not text_only(mode) then return nil, BINARY end
  if select('#', ...) == 0 then return passed(load(chunk, name, 't', G)) end
  return passed(load(chunk, name, 't', ...))
end

function G.loadfile(name, mode, ...)
  if not text_only(mode) then return nil, BINARY end
  if select('#', ...) == 0 then return loadfile(name, 't', G) end
  return loadfile(name, 't', ...)
end

function G.dofile(name)
  local f, message = loadfile(name, 't', G)
  if not f then error(message, 0) end
  return f()
end

local function watched(f)
  budget = budget - 10 -- each coroutine counts its instructions from the start
  look()
  local thread = create(f)
  sethook(thread, hook, '', STEP)
  return thread
end

G.coroutine.create = watched

function G.coroutine.resume(...)
  return passed(resume(...))
end

local function resumed(ok, ...)
  if stopped then error(stopped, 0) end
  if ok then return ... end
  error((...), 2)
end

function G.coroutine.wrap(f)
  local thread = watched(f)
  return function(...) return resumed(resume(thread, ...)) end
end

-- ------------------------------------------------------------------------------- what is taken from the libraries

function G.setmetatable(...)
  local value, metatable = ...
  local finalizer = type(metatable) == 'table' and rawget(metatable, '__gc') or nil
  if finalizer ~= nil then rawset(metatable, '__gc', nil) end -- Lua marks a value for finalization here or never
  local ok, message = pcall(setmetatable, ...)
  if finalizer ~= nil then rawset(metatable, '__gc', finalizer) end
  if ok then return value end
  error((gsub(message, "'%?'", "'setmetatable'")), 2)
end

local function information(level, ...)
  if type(level) == 'number' and level >= 1 then level = level + 1 end -- not counting this function
  local frame = getinfo(level, ...)
  if frame then frame.func = nil end -- ours would be at the script's mercy
  return frame
end

do -- no hooks, no registry, no upvalues or locals of others
  local kept = {getinfo = information, getmetatable = getmetatable, setmetatable = G.setmetatable, traceback = traceback}
  for name in next, G.debug do G.debug[name] = kept[name] end
end

if not sandbox then
  local files = getmetatable(G.io.stdout) -- its __index is itself: a script could change how files are finalized
  local methods = {}
  for name, method in next, files do
    if sub(name, 1, 2) ~= '__' then methods[name] = method end
  end
  files.__index, files.__metatable = methods, 'FILE*'

  -- This Lua was built for any C library: it has no popen, and takes no wait status apart.
  local execute, open, remove, tmpname, close_default = G.os.execute, G.io.open, G.os.remove, G.os.tmpname, G.io.close
  local close = methods.close
  local processes = setmetatable({}, {__mode = 'k'}) -- by the file that popen gave

  local function ended(ok, what, status)
    if what ~= 'exit' then return ok, what, status end
    if status & 0x7F ~= 0 then return nil, 'signal', status & 0x7F end
    return status == 0 or nil, 'exit', status >> 8
  end

  function G.os.execute(command)
    if command == nil then return execute() end
    return ended(execute(command))
  end

  function G.io.popen(command, mode) -- the command runs to its end: at once for its output, on closing for its input
    if type(command) == 'number' then command = tostring(command) end
    if type(command) ~= 'string' then
      error("bad argument #1 to 'popen' (string expected, got " .. type(command) .. ')', 2)
    end
    if mode ~= nil and mode ~= 'r' and mode ~= 'w' then error("bad argument #2 to 'popen' (invalid mode)", 2) end
    local name = tmpname()
    if not execute('umask 077; set -C; : > ' .. name) then return nil, 'no temporary file', 17 end
    local file = open(name, 'r+b')
    local shell = "exec sh -c '" .. gsub(gsub(command, '\0.*', ''), "'", "'\\''") .. "' "
    if mode == 'w' then
      processes[file] = {command = shell .. '< ' .. name, name = name}
      return file
    end
    local process = {ended(execute(shell .. '>> ' .. name))}
    remove(name)
    processes[file] = process
    return file
  end

  function methods.close(...)
    local file = ...
    local process = file ~= nil and processes[file]
    if not process then return close(...) end
    close(file)
    processes[file] = nil
    if not process.name then return process[1], process[2], process[3] end
    local ok, what, status = ended(execute(process.command))
    remove(process.name)
    return ok, what, status
  end

  function G.io.close(...)
    if select('#', ...) == 0 then return close_default() end
    return methods.close(...)
  end

  G.package.loadlib, G.package.cpath = nil, '' -- a C module would link against another Lua
  local package, searchers = G.package, G.package.searchers
  searchers[4], searchers[3] = nil, nil
  searchers[2] = function(name)
    if type(package.path) ~= 'string' then error("'package.path' must be a string", 0) end
    local path, message = find_file(name, package.path)
    if not path then return message end
    local chunk
    chunk, message = loadfile(path, 't', G)
    if chunk then return chunk, path end
    error("error loading module '" .. name .. "' from file '" .. path .. "':\n\t" .. message, 0)
  end
end

function G.os.exit()
  error('os.exit() is not allowed: it would end the server', 2)
end

G.package.loaded.python, G.python = nil, nil

if sandbox then
  for _, name in next, {'io', 'os', 'package', 'require', 'dofile', 'loadfile'} do G[name] = nil end
end

-- ------------------------------------------------------------- Lua 5.2's functions, which Debian's Lua 5.3 still has

if compatible then
  local e = math.exp
  math.atan2 = math.atan2 or function(y, x) return math.atan(y, x) end
  math.cosh = math.cosh or function(x) return (e(x) + e(-x)) / 2 end
  math.sinh = math.sinh or function(x) return (e(x) - e(-x)) / 2 end
  math.tanh = math.tanh or function(x) local a = e(2 * x) return a == math.huge and 1.0 or (a - 1) / (a + 1) end
  math.pow = math.pow or function(x, y) return x ^ y end
  math.log10 = math.log10 or function(x) return math.log(x, 10) end
  math.ldexp = math.ldexp or function(m, exponent) return m * 2.0 ^ exponent end
  math.frexp = math.frexp or function(x)
    if x == 0 or x ~= x or x == math.huge or x == -math.huge then return x + 0.0, 0 end
    local exponent = 0
    local m = x < 0 and -x or x + 0.0
    while m >= 1 do m, exponent = m / 2, exponent + 1 end
    while m < 0.5 do m, exponent = m * 2, exponent - 1 end
    return x < 0 and -m or m, exponent
  end
  if not G.bit32 then
    local ALL = 0xFFFFFFFF
    local function word(x) return assert(math.tointeger(x), 'number has no integer representation') & ALL end
    local function fold(f, first)
      return function(...)
        local r = first
        for i = 1, select('#', ...) do r = f(r, word((select(i, ...)))) end
        return r & ALL
      end
    end
    local band = fold(function(a, b) return a & b end, ALL)
    local function shift(x, by) -- to the left; Lua 5.3 shifts 64 bits
      if by <= -32 or by >= 32 then return 0 end
      return by >= 0 and (word(x) << by) & ALL or word(x) >> -by
    end
    local function rotate(x, by)
      by = by % 32
      return (word(x) << by | word(x) >> (32 - by)) & ALL
    end
    local function mask(field, width)
      width = width or 1
      if field < 0 then error('field cannot be negative', 3) end
      if width <= 0 then error('width must be positive', 3) end
      if field + width > 32 then error('trying to access non-existent bits', 3) end
      return (1 << width) - 1
    end
    G.bit32 = {
      band = band,
      bor = fold(function(a, b) return a | b end, 0),
      bxor = fold(function(a, b) return a ~ b end, 0),
      btest = function(...) return band(...) ~= 0 end,
      bnot = function(x) return ~word(x) & ALL end,
      lshift = shift,
      rshift = function(x, by) return shift(x, -by) end,
      arshift = function(x, by)
        if by < 0 or word(x) < 0x80000000 then return shift(x, -by) end
        return by >= 32 and ALL or (word(x) >> by | ~(ALL >> by)) & ALL
      end,
      lrotate = rotate,
      rrotate = function(x, by) return rotate(x, -by) end,
      extract = function(x, field, width) return word(x) >> field & mask(field, width) end,
      replace = function(x, value, field, width)
        local m = mask(field, width)
        return word(x) & ~(m << field) | (word(value) & m) << field
      end,
    }
    if not sandbox then G.package.loaded.bit32 = G.bit32 end
  end
end

-- ------------------------------------------------------------------------------------------------------ functions

local function host(f) -- f gives true and its results, or false and a message
  local function answer(ok, ...)
    running = true -- a callback within this one may have ended during it
    if not leave() then error(NO_MEMORY, 0) end
    if ok then return ... end
    error((...), 2)
  end
  return function(...)
    enter()
    return answer(f(...))
  end
end

local write = host(emit)

local function print(...)
  local line = ''
  for i = 1, select('#', ...) do
    local text = tostring((select(i, ...)))
    local nul = find(text, '\0', 1, true)
    if line ~= '' then line = line .. ', ' end -- sic: Orthanc leaves it out after empty ones
    line = line .. (nul and sub(text, 1, nul - 1) or text)
  end
  write(line)
end

G.print = print

local function show(value, left, name, depth)
  if left < 1 or depth > 100 then -- Orthanc follows a table that holds itself for ever
    print('ERROR: Item limit reached.')
    return left < 1 and left - 1 or -1
  end
  if type(value) ~= 'table' then
    print(name, type(value), value)
    return left - 1
  end
  print(name, 'table')
  for key, member in pairs(value) do
    left = show(member, left, name .. '\t[' .. tostring(key) .. ']', depth + 1)
    if left < 0 then break end
  end
  return left
end

function G.PrintRecursive(value, limit, name)
  return show(value, limit or 100, name or '', 1)
end

-- ------------------------------------------------------------------------------------------------ called by Python

sethook(hook, '', STEP)

local function keep_trace(message)
  running = false
  if not stopped then trace = traceback('', 2) end
  return message
end

local function ended(...)
  running = false
  return ...
end

local function guarded(f, ...) -- the hook must not raise outside of the protected call
  running = true
  return ended(f(...))
end

local function back(...)
  running = false -- errors for want of memory pass keep_trace by
  enter()
  return ...
end

return {
  define = function(name, f) rawset(G, name, host(f)) end,
  undefine = function(name) rawset(G, name, nil) end,
  lookup = function(name)
    local f = rawget(G, name)
    return type(f) == 'function' and f or nil
  end,
  census = function(names) -- which of these are functions: a digit each
    local digits = ''
    for i = 1, #names do digits = digits .. (type(rawget(G, names[i])) == 'function' and '1' or '0') end
    return digits
  end,
  compile = function(source, name) return load(source, name, 't', G) end,
  run = function(f, ...)
    trace = nil
    tidy()
    if not leave() then return back(false, NO_MEMORY) end
    return back(xpcall(guarded, keep_trace, f, ...))
  end,
  idle = function()
    running = false
    collectgarbage('stop')
  end,
  collect = function() collectgarbage('collect') end,
  trace = function() return trace end,
  limit = function(at, of_seconds, left, of_instructions, reason) -- returns what it replaces, to be put back
    local a, b, c, d, r = deadline_s, seconds, budget, instructions, stopped
    deadline_s, seconds, budget, instructions, stopped = at, of_seconds, left, of_instructions, reason
    return a, b, c, d, r
  end,
  stopped = function() return stopped, budget <= 0 end,
  tostring = tostring,
  tonumber = tonumber,
}
